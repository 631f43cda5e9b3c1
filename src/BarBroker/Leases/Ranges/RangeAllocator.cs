// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Pools;

namespace BarBroker.Leases;

/// <summary>Which bytes of one BAR are held by whom. Not thread-safe: it belongs to the lease book's lock.</summary>
/// <remarks>
/// <para>
/// Where a size is asked for, the rule is: the smallest hole that holds it, the lowest offset among equals, and in the hole the lowest
/// aligned offset. Large holes are thus cut only when no smaller one will do, and remain for those who need them. Split requests are first
/// tried in one piece; then the largest holes are used up first, so that there are few ranges, and the last range comes from the smallest hole that holds it.
/// </para>
/// <para>
/// Pieces are kept by offset and holes by length, both in balanced trees: an operation costs O(log n) for each range it touches. Only a search with a
/// coarse alignment may look at more holes, those that are large enough but wrongly placed.
/// </para>
/// <para>
/// What pools own is set apart in areas, each with holes of its own, so that a search in one sees nothing of the others. Named ranges may reach across areas.
/// </para>
/// </remarks>
internal sealed partial class RangeAllocator<T> where T : class
{
    /// <summary>As many ranges as a request may name.</summary>
    public const int MaxRanges = 64;

    private readonly SortedSet<RangePiece<T>> _pieces = new(Comparer<RangePiece<T>>.Create(static (a, b) => a.Offset.CompareTo(b.Offset)));
    private readonly RangeArea<T> _rest = new();
    private readonly Dictionary<PoolBuffer, RangeArea<T>> _areas = [];

    // What the trees are searched with; never in them.
    private readonly RangePiece<T> _low = new();
    private readonly RangePiece<T> _high = new();
    private readonly ulong _pageSize;

    public RangeAllocator(ulong size, ulong pageSize)
    {
        Size = size;
        _pageSize = pageSize;
        // The tail of a BAR that is no multiple of the page size cannot be exported.
        var all = new RangePiece<T> { Offset = 0, Length = size - (size % pageSize), Area = _rest };
        _rest.Size = all.Length;
        _pieces.Add(all);
        _rest.Add(all);
    }

    public ulong Size { get; }

    /// <summary>In pools or not, as the following two.</summary>
    public ulong Free => Sum(static area => area.Free);

    public ulong Quarantined => Sum(static area => area.Quarantined);

    public ulong Leased => Sum(static area => area.Leased);

    /// <summary>Outside of pools.</summary>
    public ulong LargestFree => _rest.LargestFree;

    /// <summary>What is outside of all pools.</summary>
    public RangeArea<T> Rest => _rest;

    /// <summary>The pieces in order of offset, without gaps.</summary>
    public IEnumerable<RangePiece<T>> Pieces => _pieces;

    /// <summary>Who holds bytes of the range in a way that does not let it be taken; null if nobody does. Quarantined bytes are never shared.</summary>
    public T? FindConflict(BarRange range, bool readOnly)
    {
        for (RangePiece<T>? piece = PieceAt(range.Offset); piece is not null && piece.Offset < range.End; piece = piece.Next)
        {
            if (!piece.IsFree && (!readOnly || !piece.ReadOnly || piece.Quarantines > 0))
                return piece.AnyHolder;
        }

        return null;
    }

    /// <summary>Takes a range that has no conflict.</summary>
    public void Take(BarRange range, T holder, bool readOnly)
    {
        foreach (RangePiece<T> piece in Cut(range))
        {
            if (piece.IsFree)
            {
                piece.Area!.Remove(piece);
                piece.ReadOnly = readOnly;
            }

            piece.Add(holder);
        }
    }

    /// <summary>Sets the bytes of a pool's buffer apart, before anything is taken. No two areas may overlap.</summary>
    public void AddArea(PoolBuffer key, RangeRun run)
    {
        var area = new RangeArea<T>(run.First.Offset, run.Stride) { Size = run.Bytes };
        _rest.Size -= area.Size;
        _areas.Add(key, area);
        for (int i = 0; i < run.Count; i++)
        {
            foreach (RangePiece<T> piece in Cut(run[i]))
            {
                _rest.Remove(piece);
                piece.Area = area;
                area.Add(piece);
            }
        }
    }

    /// <summary>The area of a pool's buffer, or what is outside of pools; null if the pool is not here.</summary>
    public RangeArea<T>? Area(PoolBuffer? key) => key is null ? _rest : _areas.GetValueOrDefault(key);

    /// <summary>Takes <paramref name="size"/> free bytes by the rule above; false, with nothing taken, if there is no room.</summary>
    public bool TryTake(ulong size, ulong alignment, bool allowSplit, T holder, bool readOnly, out ImmutableArray<BarRange> ranges, RangeArea<T>? area = null)
    {
        area ??= _rest;
        alignment = Math.Max(alignment, _pageSize);
        if (FindHole(area, size, alignment) is { } fit)
        {
            Take(fit, holder, readOnly);
            ranges = [fit];
            return true;
        }

        ranges = allowSplit ? Gather(area, size, alignment) : [];
        foreach (BarRange range in ranges)
            Take(range, holder, readOnly);
        return !ranges.IsEmpty;
    }

    /// <summary>From now on the holder's bytes are neither free nor to be shared.</summary>
    public void Quarantine(BarRange range, T holder)
    {
        // Two leases that share read-only may have cut the pieces finer than this range, never coarser.
        for (RangePiece<T>? piece = PieceAt(range.Offset); piece is not null && piece.Offset < range.End; piece = piece.Next)
        {
            if (piece.IsHeldBy(holder) && piece.Quarantines++ == 0)
                piece.Area!.Quarantined += piece.Length;
        }
    }

    /// <summary>Gives back what the holder took.</summary>
    public void Release(BarRange range, T holder, bool quarantined)
    {
        RangePiece<T>? piece = PieceAt(range.Offset);
        while (piece is not null && piece.Offset < range.End)
        {
            piece.Remove(holder);
            if (quarantined && --piece.Quarantines == 0)
                piece.Area!.Quarantined -= piece.Length;
            if (piece.IsFree)
                piece = AddHole(piece);
            piece = piece.Next;
        }
    }

    private static ulong AlignUp(ulong offset, ulong alignment) => (offset + alignment - 1) & ~(alignment - 1);

    /// <summary>What of a hole starts aligned; empty if nothing does.</summary>
    private static BarRange Usable(RangePiece<T> hole, ulong alignment)
    {
        ulong start = AlignUp(hole.Offset, alignment);
        return start < hole.End && start >= hole.Offset ? new BarRange(start, hole.End - start) : default;
    }

    private ulong Sum(Func<RangeArea<T>, ulong> bytes)
    {
        ulong sum = bytes(_rest);
        foreach (RangeArea<T> area in _areas.Values)
            sum += bytes(area);
        return sum;
    }

    private BarRange? FindHole(RangeArea<T> area, ulong size, ulong alignment)
    {
        if (size > area.LargestFree)
            return null;
        _low.Length = size;
        _low.Offset = 0;
        _high.Length = ulong.MaxValue;
        _high.Offset = ulong.MaxValue;
        foreach (RangePiece<T> hole in area.Holes.GetViewBetween(_low, _high))
        {
            BarRange usable = Usable(hole, alignment);
            if (usable.Length >= size)
                return new BarRange(usable.Offset, size);
        }

        return null;
    }

    private ImmutableArray<BarRange> Gather(RangeArea<T> area, ulong size, ulong alignment)
    {
        if (size > area.Free)
            return [];
        var taken = new List<BarRange>();
        foreach (RangePiece<T> hole in area.Holes.Reverse())
        {
            BarRange usable = Usable(hole, alignment);
            if (usable.Length == 0)
                continue;
            if (usable.Length >= size)
            {
                // Holes used up before are all larger than this one, so the smallest that fits is not among them, save for an equal one.
                BarRange last = FindHole(area, size, alignment) is { } fit && !taken.Exists(t => t.Offset == fit.Offset) ? fit : usable with { Length = size };
                taken.Add(last);
                taken.Sort(static (a, b) => a.Offset.CompareTo(b.Offset));
                return [.. taken];
            }

            taken.Add(usable);
            size -= usable.Length;
            if (taken.Count == MaxRanges)
                break;
        }

        return [];
    }

    /// <summary>The pieces that make up exactly the range, cut out of larger ones where needed.</summary>
    private List<RangePiece<T>> Cut(BarRange range)
    {
        SplitAt(range.Offset);
        SplitAt(range.End);
        var pieces = new List<RangePiece<T>>(1);
        for (RangePiece<T>? piece = PieceAt(range.Offset); piece is not null && piece.Offset < range.End; piece = piece.Next)
            pieces.Add(piece);
        return pieces;
    }

    private void SplitAt(ulong offset)
    {
        if (PieceAt(offset) is not { } piece || piece.Offset == offset || piece.End <= offset)
            return;
        if (piece.IsFree)
            piece.Area!.Remove(piece);
        RangePiece<T> rest = piece.SplitAt(offset);
        _pieces.Add(rest);
        if (piece.IsFree)
        {
            piece.Area!.Add(piece);
            piece.Area.Add(rest);
        }
    }

    /// <summary>A piece that has just become free: it grows together with the holes beside it, and is a hole of its area.</summary>
    private RangePiece<T> AddHole(RangePiece<T> hole)
    {
        RangeArea<T> area = hole.Area!;
        // Out of the trees before the keys change.
        if (hole.Next is { IsFree: true } after && after.Area == area && !area.HasWallAt(after.Offset))
        {
            area.Remove(after);
            _pieces.Remove(after);
            hole.Absorb();
        }

        if (hole.Previous is { IsFree: true } before && before.Area == area && !area.HasWallAt(hole.Offset))
        {
            area.Remove(before);
            _pieces.Remove(hole);
            before.Absorb();
            hole = before;
        }

        area.Add(hole);
        return hole;
    }

    /// <summary>The piece that holds the byte, or the last one before it.</summary>
    private RangePiece<T>? PieceAt(ulong offset)
    {
        _low.Offset = offset;
        if (_pieces.TryGetValue(_low, out RangePiece<T>? piece))
            return piece;
        _low.Offset = 0;
        _high.Offset = offset;
        return _pieces.GetViewBetween(_low, _high).Max;
    }
}
