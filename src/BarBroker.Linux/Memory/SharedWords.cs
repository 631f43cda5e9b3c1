// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Linux.Memory;

/// <summary>
/// 64-bit words in a memfd that is mapped, so that what is written there outlives the process, as long as somebody else has the descriptor. Sealed against shrinking: nobody can take
/// the memory from under the mapping. Each word is read and written as a whole, in the order of the program.
/// </summary>
public sealed class SharedWords : IDisposable
{
    private const MemfdSeals Seals = MemfdSeals.Grow | MemfdSeals.Shrink | MemfdSeals.Seal;

    private readonly Mapping _mapping;

    private SharedWords(Memfd memory, int length)
    {
        Memory = memory;
        Length = length;
        _mapping = Mapping.Map(memory, (ulong)length * sizeof(long), writable: true);
    }

    /// <summary>What has to be kept for the words to be kept.</summary>
    public FileDescriptor Memory { get; }

    /// <summary>Words.</summary>
    public int Length { get; }

    public unsafe long this[int index]
    {
        // SAFETY: the index is checked, the mapping is page-aligned, lives as long as this object, and cannot be shrunk.
        get => Volatile.Read(ref *At(index));
        set => Volatile.Write(ref *At(index), value);
    }

    /// <summary>All zero. Memory is taken only for what is written.</summary>
    public static SharedWords Create(string name, int length)
    {
        var memory = Memfd.Create(name, (ulong)length * sizeof(long));
        try
        {
            memory.AddSeals(Seals);
            return new SharedWords(memory, length);
        }
        catch
        {
            memory.Dispose();
            throw;
        }
    }

    /// <summary>Those of an earlier run. Takes the descriptor over, unless it is no memfd of that name.</summary>
    /// <exception cref="IOException">It is something else, or not as long.</exception>
    public static SharedWords Adopt(FileDescriptor file, string name, int length)
    {
        var memory = Memfd.Adopt(file, name);
        try
        {
            var (seals, size) = (memory.GetSeals(), memory.GetSize());
            return (seals & Seals) == Seals && size == (ulong)length * sizeof(long)
                ? new SharedWords(memory, length)
                : throw new IOException($"the memfd {name} has {size} bytes and the seals {seals}, not {(ulong)length * sizeof(long)} and {Seals}");
        }
        catch
        {
            memory.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        _mapping.Dispose();
        Memory.Dispose();
    }

    private unsafe long* At(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Length);
        return (long*)_mapping.Address + index;
    }
}
