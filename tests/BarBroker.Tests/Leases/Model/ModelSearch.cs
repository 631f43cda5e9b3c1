// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

/// <summary>Tries every way to place a waiter's buffers, page by page, and prices each by who would have to go.</summary>
/// <param name="price">Of a set of leases, as bits; null: not to be had.</param>
internal sealed class ModelSearch(ModelLease[] held, List<LeaseBuffer> kept, Func<ulong, (int Weight, ulong Age)?> price)
{
    private readonly Dictionary<ulong, (int Weight, ulong Age)?> _prices = [];
    private readonly Dictionary<int, ulong[]> _holders = new() { [0] = new ulong[ModelPools.BarPages], [2] = new ulong[4 * ModelPools.BarPages] };
    private readonly Dictionary<int, bool[]> _used = new() { [0] = new bool[ModelPools.BarPages], [2] = new bool[4 * ModelPools.BarPages] };
    private (int Weight, ulong Age)? _best;

    /// <param name="isTaking">By recalls: then also what is named must not be kept for somebody ahead.</param>
    public (int Weight, ulong Age)? Run(ModelWaiter waiter, bool isTaking)
    {
        for (int i = 0; i < held.Length; i++)
        {
            foreach (LeaseBuffer buffer in held[i].Buffers)
                ForEachPage(buffer, page => _holders[buffer.Bar][page] |= 1UL << i);
        }

        foreach (LeaseBuffer buffer in kept)
            ForEachPage(buffer, page => _used[buffer.Bar][page] = true);
        ulong mask = 0;
        bool isKept = false;
        for (int i = 0; i < waiter.Request.Buffers.Length; i++)
        {
            BufferRequest named = waiter.Request.Buffers[i];
            bool isShared = waiter.Shares(i);
            foreach (BarRange range in named.Size == 0 ? named.Ranges : [])
            {
                ForEachPage(new LeaseBuffer(named.Bar, [range], range.Length), page =>
                {
                    isKept |= _used[named.Bar][page];
                    _used[named.Bar][page] = true;
                    mask |= isShared ? Without(_holders[named.Bar][page]) : _holders[named.Bar][page];
                });
            }
        }

        if (!(isTaking && isKept))
            Try(ModelPools.Ways(waiter.Request), 0, mask);
        return _best;
    }

    /// <summary>Other readers are not in the way.</summary>
    private ulong Without(ulong mask)
    {
        for (int i = 0; i < held.Length; i++)
        {
            if (held[i].ReadOnly && held[i].Live)
                mask &= ~(1UL << i);
        }

        return mask;
    }

    private void Try(ModelPools.Way[][] parts, int index, ulong mask)
    {
        if (index == parts.Length)
        {
            if (!_prices.TryGetValue(mask, out var cost))
                _prices[mask] = cost = price(mask);
            if (cost is { } c && (_best is not { } b || c.Weight < b.Weight || (c.Weight == b.Weight && c.Age > b.Age)))
                _best = cost;
            return;
        }

        HashSet<ulong> tried = [];
        // The last part's ways with the same holders are the same.
        bool isLast = index == parts.Length - 1;
        foreach (ModelPools.Way way in parts[index])
        {
            if (way.Ranges.Any(r => Array.IndexOf(_used[r.Bar], true, r.Start, r.Count) >= 0))
                continue;
            ulong there = way.Ranges.SelectMany(r => _holders[r.Bar][r.Start..(r.Start + r.Count)]).Aggregate(mask, static (m, h) => m | h);
            if (isLast && !tried.Add(there))
                continue;
            foreach (var (bar, start, count) in way.Ranges)
                Array.Fill(_used[bar], true, start, count);
            Try(parts, index + 1, there);
            foreach (var (bar, start, count) in way.Ranges)
                Array.Fill(_used[bar], false, start, count);
        }
    }

    private static void ForEachPage(LeaseBuffer buffer, Action<int> action)
    {
        foreach (BarRange range in buffer.Ranges)
        {
            for (ulong page = range.Offset / FakeDevice.Page; page < range.End / FakeDevice.Page; page++)
                action((int)page);
        }
    }
}
