// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;

namespace BarBroker.Pools;

/// <summary>Ranges of one BAR that follow each other at the same distance, without overlapping.</summary>
/// <param name="Stride">From the beginning of one to that of the next, in bytes; 0 for a window, which is one range.</param>
internal readonly record struct RangeRun(int Bar, BarRange First, ulong Stride, int Count)
{
    public BarRange this[int index] => First with { Offset = First.Offset + ((ulong)index * Stride) };

    public ulong Bytes => First.Length * (ulong)Count;

    /// <summary>The first of them that has a byte in common with the range; null if none has.</summary>
    public int? FindIn(BarRange range)
    {
        ulong near = Stride == 0 || range.Offset <= First.Offset ? 0 : (range.Offset - First.Offset) / Stride;
        for (ulong i = near; i < (ulong)Count && i <= near + 1; i++)
        {
            if (this[(int)i].Offset < range.End && range.Offset < this[(int)i].End)
                return (int)i;
        }

        return null;
    }

    /// <summary>A range of this that has a byte in common with one of the other.</summary>
    public BarRange? FindCommon(RangeRun other)
    {
        if (Bar != other.Bar)
            return null;
        if (Count > other.Count)
            return other.FindCommon(this);
        for (int i = 0; i < Count; i++)
        {
            if (other.FindIn(this[i]) is not null)
                return this[i];
        }

        return null;
    }
}
