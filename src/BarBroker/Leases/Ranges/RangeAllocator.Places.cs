// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;

namespace BarBroker.Leases;

internal sealed partial class RangeAllocator<T>
{
    /// <summary>
    /// Keeps the range from others until <see cref="Unreserve"/>: takes what is free of it and, unless for reading, closes what is shared to further sharers. What
    /// others hold stays theirs.
    /// </summary>
    public void Reserve(BarRange range, T holder, bool readOnly)
    {
        for (RangePiece<T>? piece = PieceAt(range.Offset); piece is not null && piece.Offset < range.End; piece = piece.Next)
        {
            if (!piece.IsFree && (readOnly || !piece.ReadOnly))
                continue;
            ulong start = Math.Max(piece.Offset, range.Offset);
            ulong end = Math.Min(piece.End, range.End);
            SplitAt(start);
            SplitAt(end);
            piece = PieceAt(start)!;
            if (piece.IsFree)
            {
                piece.Area!.Remove(piece);
                piece.ReadOnly = readOnly;
            }
            else
            {
                // Not counted as quarantined bytes: it is undone before anybody looks.
                piece.Quarantines++;
            }

            piece.Add(holder);
        }
    }

    /// <summary>Undoes <see cref="Reserve"/>, also where others that share have come since.</summary>
    public void Unreserve(BarRange range, T holder, bool readOnly)
    {
        for (RangePiece<T>? piece = PieceAt(range.Offset); piece is not null && piece.Offset < range.End; piece = piece.Next)
        {
            if (!piece.IsHeldBy(holder))
                continue;
            piece.Remove(holder);
            if (piece.IsFree)
            {
                piece.Quarantines = 0;
                piece = AddHole(piece);
            }
            else if (!readOnly)
            {
                piece.Quarantines--;
            }
        }
    }

    /// <summary>Who holds bytes of the range, each once.</summary>
    public HashSet<T> HoldersIn(BarRange range)
    {
        HashSet<T> holders = [];
        for (RangePiece<T>? piece = PieceAt(range.Offset); piece is not null && piece.Offset < range.End; piece = piece.Next)
            holders.UnionWith(piece.Holders());
        return holders;
    }

    /// <summary>
    /// The aligned window of <paramref name="size"/> bytes whose holders cost least together; among equals the one whose oldest holder is youngest, then the lowest.
    /// Null if there is none in the area (without one: outside of pools) without a holder that costs <see cref="HolderCost.Never"/> and outside of <paramref name="excluded"/>.
    /// </summary>
    /// <remarks>
    /// Any window can be moved down, without a holder more, until its start would enter another piece or it would touch an excluded range. So only the windows that
    /// start at the first aligned offset of a piece, or after an excluded range, are looked at: O(n) for n pieces, with a walk over the holders of a window that
    /// is as good as the best so far.
    /// </remarks>
    public BarRange? FindWindow(ulong size, ulong alignment, IReadOnlyList<BarRange> excluded, Func<T, HolderCost> costOf, out HolderCost cost, RangeArea<T>? area = null)
    {
        BarRange? best = null;
        HolderCost least = default;
        Visit(size, alignment, excluded, costOf, area, window =>
        {
            if (best is not null && window.Weight > least.Weight)
                return;
            HolderCost found = window.Cost();
            if (best is null || found.IsLessThan(least))
                (best, least) = (new BarRange(window.Start, size), found);
        });
        cost = least;
        return best;
    }

    /// <summary>All the windows that <see cref="FindWindow"/> looks at and that are possible, the best first.</summary>
    public List<(BarRange Range, HolderCost Cost)> FindWindows(ulong size, ulong alignment, IReadOnlyList<BarRange> excluded, Func<T, HolderCost> costOf, RangeArea<T>? area = null)
    {
        List<(BarRange Range, HolderCost Cost)> windows = [];
        Visit(size, alignment, excluded, costOf, area, window => windows.Add((new BarRange(window.Start, size), window.Cost())));
        windows.Sort(static (a, b) => a.Cost.IsLessThan(b.Cost) ? -1 : b.Cost.IsLessThan(a.Cost) ? 1 : a.Range.Offset.CompareTo(b.Range.Offset));
        return windows;
    }

    private void Visit(ulong size, ulong alignment, IReadOnlyList<BarRange> excluded, Func<T, HolderCost> costOf, RangeArea<T>? area, Action<Window> visit)
    {
        alignment = Math.Max(alignment, _pageSize);
        ulong end = Size - (Size % _pageSize);
        RangePiece<T>[] pieces = [.. _pieces];
        List<ulong> starts = [.. pieces.Select(static p => p.Offset).Concat(excluded.Select(static r => r.End))];
        if (excluded.Count > 0)
            starts.Sort();
        var window = new Window(costOf, area ?? _rest);
        int first = 0, next = 0;
        foreach (ulong offset in starts)
        {
            ulong start = AlignUp(offset, alignment);
            if (start < offset || start >= end || size > end - start)
                break;
            for (; next < pieces.Length && pieces[next].Offset < start + size; next++)
                window.Add(pieces[next]);
            for (; pieces[first].End <= start; first++)
                window.Remove(pieces[first]);
            window.Start = start;
            if (window.IsPossible && !excluded.Any(r => r.Offset < start + size && start < r.End))
                visit(window);
        }
    }

    /// <summary>Who holds pieces of a window that moves up.</summary>
    private sealed class Window(Func<T, HolderCost> costOf, RangeArea<T> area)
    {
        private readonly Dictionary<T, (int Pieces, HolderCost Cost)> _holders = [];
        private int _impossible;

        public bool IsPossible => _impossible == 0;

        public ulong Start { get; set; }

        public int Weight { get; private set; }

        public void Add(RangePiece<T> piece)
        {
            if (piece.Area != area)
                _impossible++;
            foreach (T holder in piece.Holders())
            {
                if (_holders.TryGetValue(holder, out var known))
                {
                    _holders[holder] = known with { Pieces = known.Pieces + 1 };
                    continue;
                }

                HolderCost cost = costOf(holder);
                _holders.Add(holder, (1, cost));
                Count(cost, 1);
            }
        }

        public void Remove(RangePiece<T> piece)
        {
            if (piece.Area != area)
                _impossible--;
            foreach (T holder in piece.Holders())
            {
                var (pieces, cost) = _holders[holder];
                if (pieces > 1)
                {
                    _holders[holder] = (pieces - 1, cost);
                    continue;
                }

                _holders.Remove(holder);
                Count(cost, -1);
            }
        }

        public HolderCost Cost()
        {
            ulong oldest = ulong.MaxValue;
            foreach (var (_, cost) in _holders.Values)
                oldest = cost.Weight > 0 ? Math.Min(oldest, cost.Age) : oldest;
            return new HolderCost(Weight, oldest);
        }

        private void Count(HolderCost cost, int sign)
        {
            if (cost.IsNever)
                _impossible += sign;
            else
                Weight += sign * cost.Weight;
        }
    }
}
