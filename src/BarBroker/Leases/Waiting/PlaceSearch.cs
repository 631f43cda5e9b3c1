// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;

namespace BarBroker.Leases;

/// <summary>
/// Looks for the windows of all buffers of one request that cost least together. A lease that has to go for one buffer costs nothing for the next, so that what is best for
/// each buffer alone need not be best for all.
/// </summary>
/// <remarks>
/// <para>
/// It goes down buffer by buffer, the cheapest window first, and comes back to try the others only where they could still be cheaper than the best so far. Buffers in the
/// same BAR, or the same part of it, are tried in every order, because a window is looked for at the lowest offset that it can be moved down to, and one may lie on top of the other.
/// </para>
/// <para>
/// The result is exact while fewer than <see cref="Budget"/> windows had to be looked at: always for one buffer, and for a few of them in BARs with some dozens of pieces.
/// Beyond that it is the best of those that were looked at, and never worse than the cheapest window of each buffer in turn.
/// </para>
/// </remarks>
internal sealed class PlaceSearch(Turn turn, AcquireRequest request, Func<Lease, HolderCost> costOf)
{
    /// <summary>Bounds the time that the lease book's lock is held.</summary>
    private const int Budget = 4096;

    /// <summary>So many choices are tried whatever the budget: enough to go down once, and to come back from dead ends.</summary>
    private const int FewestTries = 64;

    private readonly HashSet<Lease> _taken = [];
    private LeaseBuffer[]? _best;
    private HolderCost _bestCost;
    private int _left = Budget;
    private int _tries;

    /// <summary>Null if there is no room for all without a holder that costs <see cref="HolderCost.Never"/>.</summary>
    /// <param name="named">The buffers that name their place, already kept in the turn; null for those that do not.</param>
    /// <param name="taken">Who has to go for those.</param>
    public LeaseBuffer[]? Find(LeaseBuffer?[] named, IEnumerable<Lease> taken)
    {
        var buffers = (LeaseBuffer?[])named.Clone();
        _taken.UnionWith(taken);
        int open = Enumerable.Range(0, buffers.Length).Where(i => buffers[i] is null).Sum(static i => 1 << i);
        // One window alone is found without a list of all.
        if (int.PopCount(open) == 1)
            FindOne(buffers, int.Log2(open));
        else
            Descend(buffers, open, HolderCost.None);
        return _best;
    }

    private HolderCost CostNow(Lease lease) => _taken.Contains(lease) ? HolderCost.None : costOf(lease);

    private void FindOne(LeaseBuffer?[] buffers, int index)
    {
        BufferRequest wanted = request.Buffers[index];
        if (turn.Slot.Bars[wanted.Bar]!.FindWindow(wanted.Size, wanted.Alignment, turn.Kept(wanted.Bar), CostNow, out _, turn.Slot.Bars[wanted.Bar]!.Area(wanted.Of)) is not { } window)
            return;
        buffers[index] = new LeaseBuffer(wanted.Bar, [window], wanted.Size);
        _best = [.. buffers!];
    }

    private void Descend(LeaseBuffer?[] buffers, int open, HolderCost soFar)
    {
        if (open == 0)
        {
            if (_best is null || soFar.IsLessThan(_bestCost))
                (_best, _bestCost) = ([.. buffers!], soFar);
            return;
        }

        int first = int.TrailingZeroCount(open);
        BufferRequest wanted = request.Buffers[first];
        if (LeaseBook.Follow(request.Buffers, buffers, first) is { } range)
        {
            Try(buffers, open, first, range, soFar);
            return;
        }

        for (int i = first; i < buffers.Length; i++)
        {
            if ((open >> i & 1) != 0 && request.Buffers[i].Bar == wanted.Bar && request.Buffers[i].Of == wanted.Of)
                TryWindows(buffers, open, i, soFar);
        }
    }

    private void TryWindows(LeaseBuffer?[] buffers, int open, int index, HolderCost soFar)
    {
        BufferRequest wanted = request.Buffers[index];
        RangeAllocator<Lease> bar = turn.Slot.Bars[wanted.Bar]!;
        List<(BarRange Range, HolderCost Cost)> windows = bar.FindWindows(wanted.Size, wanted.Alignment, turn.Kept(wanted.Bar), CostNow, bar.Area(wanted.Of));
        _left -= windows.Count;
        foreach (var (range, cost) in windows)
        {
            HolderCost total = soFar.Plus(cost);
            // They come sorted: the rest is no cheaper.
            if ((_best is not null && !total.IsLessThan(_bestCost)) || (_left <= 0 && _tries >= FewestTries))
                return;
            Try(buffers, open, index, range, total);
        }
    }

    private void Try(LeaseBuffer?[] buffers, int open, int index, BarRange range, HolderCost total)
    {
        BufferRequest wanted = request.Buffers[index];
        _tries++;
        Lease[] added = [.. turn.Slot.Bars[wanted.Bar]!.HoldersIn(range).Where(l => !_taken.Contains(l))];
        int kept = turn.KeptCount;
        _taken.UnionWith(added);
        turn.Keep(buffers[index] = new LeaseBuffer(wanted.Bar, [range], wanted.Size));
        Descend(buffers, open & ~(1 << index), total);
        buffers[index] = null;
        turn.KeepOnly(kept);
        _taken.ExceptWith(added);
    }
}
