// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;
using BarBroker.Linux.Interop;

namespace BarBroker.Linux.Memory;

/// <summary>
/// Copies out of and into a mapping without ever raising SIGBUS: the kernel touches the memory in a system call, which ends short or with EFAULT where a
/// load or store would kill the process. process_vm_readv(2) would not do: it refuses mappings of device memory (VM_PFNMAP), so the bytes
/// go through a private memfd. May be used by several threads at once.
/// </summary>
public sealed class MappingCopier(Mapping mapping) : IDisposable
{
    private const int ChunkBytes = 64 * 1024;

    private Memfd? _spare;
    private bool _disposed;

    /// <summary>Copies out of the mapping. Less than the whole length: the memory behind the first so many bytes is gone.</summary>
    /// <returns>Bytes copied.</returns>
    public unsafe int CopyOut(ulong offset, Span<byte> target)
    {
        using var hold = new HeldMapping(mapping, offset, (ulong)target.Length);
        var bounce = Take();
        try
        {
            int done = 0;
            while (done < target.Length)
            {
                int chunk = Math.Min(target.Length - done, ChunkBytes);
                // SAFETY: hold checked that the range lies in the mapping and keeps it mapped; the kernel checks the memory behind it.
                int moved = Moved(Libc.Pwrite(bounce, (byte*)mapping.Address + offset + done, (nuint)chunk, 0), "pwrite");
                if (moved == 0)
                {
                    break;
                }

                bounce.Read(0, target.Slice(done, moved));
                done += moved;
            }

            return done;
        }
        finally
        {
            Return(bounce);
        }
    }

    /// <summary>Copies into the mapping. Less than the whole length: the memory behind the first so many bytes is gone, or the mapping is for reading only.</summary>
    /// <returns>Bytes copied.</returns>
    public int CopyIn(ulong offset, ReadOnlySpan<byte> source)
    {
        using var hold = new HeldMapping(mapping, offset, (ulong)source.Length);
        var bounce = Take();
        try
        {
            int done = 0;
            while (done < source.Length)
            {
                int chunk = Math.Min(source.Length - done, ChunkBytes);
                bounce.Write(0, source.Slice(done, chunk));
                int moved = MoveIn(bounce, offset + (ulong)done, chunk);
                done += moved;
                if (moved < chunk)
                {
                    break;
                }
            }

            return done;
        }
        finally
        {
            Return(bounce);
        }
    }

    public void Dispose()
    {
        Volatile.Write(ref _disposed, true);
        Interlocked.Exchange(ref _spare, null)?.Dispose();
    }

    private unsafe int MoveIn(Memfd bounce, ulong offset, int length)
    {
        int moved = 0;
        while (moved < length)
        {
            // SAFETY: CopyIn checked that the range lies in the mapping and keeps it mapped; the kernel checks the memory behind it.
            int step = Moved(Libc.Pread(bounce, (byte*)mapping.Address + offset + moved, (nuint)(length - moved), moved), "pread");
            if (step == 0)
            {
                break;
            }

            moved += step;
        }

        return moved;
    }

    private Memfd Take() => Interlocked.Exchange(ref _spare, null) ?? Memfd.Create("barbroker-copy", ChunkBytes);

    /// <summary>One is kept for the next copy.</summary>
    private void Return(Memfd bounce)
    {
        if (Interlocked.CompareExchange(ref _spare, bounce, null) is not null)
        {
            bounce.Dispose();
        }

        if (Volatile.Read(ref _disposed))
        {
            Interlocked.Exchange(ref _spare, null)?.Dispose();
        }
    }

    private static int Moved(nint count, string call)
    {
        if (count >= 0)
        {
            return (int)count;
        }

        var errno = (Errno)Marshal.GetLastPInvokeError();
        return errno == Errno.EFAULT ? 0 : throw new LinuxException(call, "memfd barbroker-copy and a mapping", errno);
    }
}
