// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>A part of a BAR with holes of its own: one buffer of a pool, or what is outside of all pools. Holes never grow together across its borders.</summary>
/// <param name="first">Where the first slot begins, if the area has slots.</param>
/// <param name="stride">From slot to slot; holes do not grow together across the beginning of a slot, either. 0: no slots.</param>
internal sealed class RangeArea<T>(ulong first = 0, ulong stride = 0) where T : class
{
    /// <summary>By length, the lowest first among equals.</summary>
    public SortedSet<RangePiece<T>> Holes { get; } = new(Comparer<RangePiece<T>>.Create(static (a, b) =>
        a.Length != b.Length ? a.Length.CompareTo(b.Length) : a.Offset.CompareTo(b.Offset)));

    public ulong Size { get; set; }

    public ulong Free { get; private set; }

    public ulong Quarantined { get; set; }

    public ulong Leased => Size - Free - Quarantined;

    public ulong LargestFree => Holes.Max?.Length ?? 0;

    /// <summary>The part of what is free that the largest request which can be granted leaves over: 0 where it is all in one run, near 1 where it is in many.</summary>
    public double Fragmentation => Free == 0 ? 0 : 1 - ((double)LargestFree / Free);

    public bool HasWallAt(ulong offset) => stride != 0 && (offset - first) % stride == 0;

    public void Add(RangePiece<T> hole)
    {
        Holes.Add(hole);
        Free += hole.Length;
    }

    public void Remove(RangePiece<T> hole)
    {
        Holes.Remove(hole);
        Free -= hole.Length;
    }
}
