// SPDX-License-Identifier: Apache-2.0

using System.Buffers;
using System.Collections.Immutable;
using BarBroker.Linux;
using BarBroker.Linux.Memory;

namespace BarBroker.Devices.Simulated;

/// <summary>
/// The memory of one BAR: a sparse memfd that is never handed out. Buffers are copies of its ranges, made at the export and copied back when they are taken
/// back, so that a range keeps its content from one lease to the next at the cost of what was written, not of the BAR's size.
/// </summary>
internal sealed class SimulatedBar : IDisposable
{
    /// <summary>What the names of all memory of simulated devices begin with.</summary>
    public const string Family = "barbroker";

    private const int ChunkSize = 256 * 1024;

    private readonly Memfd _memory;

    /// <summary>Nothing was ever written: nothing to copy, and nothing to look for.</summary>
    private bool _isBlank;

    public SimulatedBar(string device, BarDescription description)
        : this(device, description, Memfd.Create(MemoryName(device, description.Index), description.Size)) => _isBlank = true;

    private SimulatedBar(string device, BarDescription description, Memfd memory)
    {
        BufferName = BufferPrefix(device) + description.Index;
        Description = description;
        _memory = memory;
    }

    public BarDescription Description { get; }

    /// <summary>What the kernel calls its buffers.</summary>
    public string BufferName { get; }

    /// <summary>To be kept, for the content to be kept.</summary>
    public FileDescriptor Memory => _memory;

    /// <summary>What the names of all buffers of a device begin with.</summary>
    public static string BufferPrefix(string device) => $"{Family}:{device}:";

    /// <summary>With the memory of an earlier run.</summary>
    /// <exception cref="IOException">It is something else; it is the caller's still.</exception>
    public static SimulatedBar Restore(string device, BarDescription description, FileDescriptor memory)
    {
        if (memory.GetSize() != description.Size)
        {
            throw new IOException($"BAR {description.Index} had {memory.GetSize()} bytes, and has {description.Size} by the configuration");
        }

        return new SimulatedBar(device, description, Memfd.Adopt(memory, MemoryName(device, description.Index)));
    }

    /// <summary>Makes the buffer and seals it: nobody grows it after it was taken back, writes to it if it is read-only, or adds a seal against taking it back.</summary>
    public Memfd Export(ImmutableArray<BarRange> ranges, BufferAccess access)
    {
        ulong size = 0;
        foreach (var range in ranges)
        {
            size += range.Length;
        }

        var buffer = Memfd.Create(BufferName, size);
        try
        {
            ulong at = 0;
            for (int i = 0; i < ranges.Length && !_isBlank; at += ranges[i].Length, i++)
            {
                CopyOut(ranges[i], buffer, at);
            }

            // Without FutureWrite a holder could open the file anew for writing through /proc/self/fd.
            buffer.AddSeals(MemfdSeals.Grow | MemfdSeals.Seal | (access == BufferAccess.ReadOnly ? MemfdSeals.FutureWrite : MemfdSeals.None));
            return buffer;
        }
        catch
        {
            buffer.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Copies what the buffer holds back to its ranges. The holders still have it: what they store meanwhile may be lost, and what
    /// they cut off by shrinking it stays as it was, or becomes zero.
    /// </summary>
    public void CopyBack(Memfd buffer, ImmutableArray<BarRange> ranges)
    {
        ulong size = buffer.GetSize();
        ulong at = 0;
        foreach (var range in ranges)
        {
            if (at >= size)
            {
                break;
            }

            CopyIn(buffer, at, Math.Min(size, at + range.Length), range.Offset);
            at += range.Length;
        }
    }

    /// <summary>Zeros cost no memory, and where nothing was ever written there are such already.</summary>
    public void Fill(BarRange range, uint word)
    {
        if (word == 0)
        {
            ClearRun(range.Offset, range.Length);
            return;
        }

        _isBlank = false;
        byte[] chunk = Pattern.Of(word, (int)Math.Min(range.Length, ChunkSize));
        for (ulong done = 0; done < range.Length; done += (ulong)chunk.Length)
        {
            _memory.Write(range.Offset + done, chunk.AsSpan(0, (int)Math.Min((ulong)chunk.Length, range.Length - done)));
        }
    }

    /// <summary>All zeros, as after power-on.</summary>
    public void Clear()
    {
        _memory.SetSize(0);
        _memory.SetSize(Description.Size);
        _isBlank = true;
    }

    public void Dispose() => _memory.Dispose();

    private static string MemoryName(string device, int bar) => $"{BufferPrefix(device)}{bar}:memory";

    private void CopyOut(BarRange range, Memfd buffer, ulong at)
    {
        ulong from = range.Offset;
        while (_memory.FindData(from, range.End) is var (offset, length))
        {
            Copy(_memory, offset, buffer, at + (offset - range.Offset), length);
            from = offset + length;
        }
    }

    private void CopyIn(Memfd buffer, ulong start, ulong end, ulong target)
    {
        ulong from = start;
        while (from < end)
        {
            var data = buffer.FindData(from, end);
            ulong gapEnd = data?.Offset ?? end;
            ClearRun(target + (from - start), gapEnd - from);
            if (data is not var (offset, length))
            {
                return;
            }

            _isBlank = false;
            Copy(buffer, offset, _memory, target + (offset - start), length);
            from = offset + length;
        }
    }

    /// <summary>What reads as zeros in the buffer becomes zeros here.</summary>
    private void ClearRun(ulong offset, ulong length)
    {
        if (length > 0 && !_isBlank && _memory.FindData(offset, offset + length) is not null)
        {
            _memory.PunchHole(offset, length);
        }
    }

    private static void Copy(Memfd source, ulong from, Memfd target, ulong to, ulong length)
    {
        var chunk = ArrayPool<byte>.Shared.Rent((int)Math.Min(length, ChunkSize));
        try
        {
            for (ulong done = 0; done < length;)
            {
                int count = source.Read(from + done, chunk.AsSpan(0, (int)Math.Min(length - done, (ulong)chunk.Length)));
                if (count == 0)
                {
                    // A holder shrank it meanwhile.
                    return;
                }

                target.Write(to + done, chunk.AsSpan(0, count));
                done += (ulong)count;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(chunk);
        }
    }
}
