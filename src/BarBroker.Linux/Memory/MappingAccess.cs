// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;
using BarBroker.Linux.Interop;

namespace BarBroker.Linux.Memory;

/// <summary>
/// Ways into a mapping. The copies never raise SIGBUS: the kernel touches the memory in a system call, which ends short or with EFAULT where a
/// load or store would kill the process. process_vm_readv(2) would not do: it refuses mappings of device memory (VM_PFNMAP), so the bytes
/// go through a private memfd.
/// </summary>
public static class MappingAccess
{
    private const int ChunkBytes = 64 * 1024;

    [ThreadStatic]
    private static Memfd? _bounce;

    /// <summary>Copies out of the mapping. Less than the whole length: the memory behind the first so many bytes is gone.</summary>
    /// <returns>Bytes copied.</returns>
    public static unsafe int CopyOut(this Mapping mapping, ulong offset, Span<byte> target)
    {
        using var hold = new Held(mapping, offset, (ulong)target.Length);
        var bounce = _bounce ??= Memfd.Create("barbroker-copy", ChunkBytes);
        int done = 0;
        while (done < target.Length)
        {
            int chunk = Math.Min(target.Length - done, ChunkBytes);
            // SAFETY: Held checked that the range lies in the mapping and keeps it mapped; the kernel checks the memory behind it.
            int moved = Moved(Libc.Pwrite(bounce, (byte*)mapping.Address + offset + done, (nuint)chunk, 0), "pwrite");
            if (moved == 0)
            {
                break;
            }

            if (bounce.Read(0, target.Slice(done, moved)) != moved)
            {
                throw new LinuxException("pread", bounce.ToString(), Errno.EIO);
            }

            done += moved;
        }

        return done;
    }

    /// <summary>Copies into the mapping, which must be writable. Less than the whole length: the memory behind the first so many bytes is gone.</summary>
    /// <returns>Bytes copied.</returns>
    public static unsafe int CopyIn(this Mapping mapping, ulong offset, ReadOnlySpan<byte> source)
    {
        using var hold = new Held(mapping, offset, (ulong)source.Length);
        var bounce = _bounce ??= Memfd.Create("barbroker-copy", ChunkBytes);
        int done = 0;
        while (done < source.Length)
        {
            int chunk = Math.Min(source.Length - done, ChunkBytes);
            bounce.Write(0, source.Slice(done, chunk));
            int moved = 0;
            while (moved < chunk)
            {
                // SAFETY: Held checked that the range lies in the mapping and keeps it mapped; the kernel checks the memory behind it.
                int step = Moved(Libc.Pread(bounce, (byte*)mapping.Address + offset + done + moved, (nuint)(chunk - moved), moved), "pread");
                if (step == 0)
                {
                    return done + moved;
                }

                moved += step;
            }

            done += chunk;
        }

        return done;
    }

    /// <summary>One load of four bytes, aligned. SIGBUS if the memory is gone.</summary>
    public static unsafe uint Read32(this Mapping mapping, ulong offset)
    {
        using var hold = new Held(mapping, offset, sizeof(uint), sizeof(uint));
        // SAFETY: Held checked range and alignment and keeps it mapped; the caller accepts SIGBUS.
        return Volatile.Read(ref *(uint*)((byte*)mapping.Address + offset));
    }

    /// <summary>One store of four bytes, aligned. SIGBUS if the memory is gone.</summary>
    public static unsafe void Write32(this Mapping mapping, ulong offset, uint value)
    {
        using var hold = new Held(mapping, offset, sizeof(uint), sizeof(uint));
        // SAFETY: Held checked range and alignment and keeps it mapped; the caller accepts SIGBUS.
        Volatile.Write(ref *(uint*)((byte*)mapping.Address + offset), value);
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

    /// <summary>Keeps the mapping from being unmapped while it is used.</summary>
    private readonly ref struct Held
    {
        private readonly Mapping _mapping;

        public Held(Mapping mapping, ulong offset, ulong length, ulong alignment = 1)
        {
            if (length > mapping.Length || offset > mapping.Length - length || offset % alignment != 0)
            {
                throw new ArgumentOutOfRangeException(
                    nameof(offset), $"offset 0x{offset:x} with {length} bytes does not lie, aligned to {alignment}, in the mapping of {mapping.Length} bytes");
            }

            bool added = false;
            mapping.DangerousAddRef(ref added);
            _mapping = mapping;
        }

        public void Dispose() => _mapping.DangerousRelease();
    }
}
