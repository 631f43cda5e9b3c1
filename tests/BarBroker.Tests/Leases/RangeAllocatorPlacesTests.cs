// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Leases;
using CsCheck;
using static BarBroker.Tests.Leases.LeaseFixture;

namespace BarBroker.Tests.Leases;

public sealed class RangeAllocatorPlacesTests
{
    private const int PageCount = 16;

    /// <summary>Against trying every window of a small BAR.</summary>
    [Fact]
    public void FindWindow_Random_IsAsCheapAndAsYoungAsTheBestOfAll()
    {
        var leases = Gen.Select(Gen.Int[0, PageCount - 1], Gen.Int[1, 4], Gen.Int[-1, 2]).Array[0, 10];
        Gen.Select(leases, Gen.Int[1, 6], Gen.Int[0, 2], Gen.Select(Gen.Int[0, PageCount - 1], Gen.Int[1, 3]).Array[0, 2]).Sample((held, size, shift, kept) =>
        {
            var bar = new RangeAllocator<Holder>(PageCount * Page, Page);
            int age = 1;
            foreach (var (start, length, weight) in held)
            {
                BarRange range = Pages((ulong)start, (ulong)Math.Min(length, PageCount - start));
                if (bar.FindConflict(range, readOnly: false) is null)
                    bar.Take(range, new Holder(weight, (ulong)age++), readOnly: false);
            }

            BarRange[] excluded = [.. kept.Select(static k => Pages((ulong)k.Item1, (ulong)Math.Min(k.Item2, PageCount - k.Item1)))];
            BarRange? found = bar.FindWindow((ulong)size * Page, Page << shift, excluded, CostOf, out HolderCost cost);

            HolderCost? best = null;
            for (ulong start = 0; start + (ulong)size <= PageCount; start += 1UL << shift)
            {
                BarRange window = Pages(start, (ulong)size);
                if (excluded.Any(e => e.Offset < window.End && window.Offset < e.End) || Cost(bar, window) is not { } candidate)
                    continue;
                if (best is null || candidate.IsLessThan(best.Value))
                    best = candidate;
            }

            Assert.Equal(best is null, found is null);
            if (found is { } place)
            {
                Assert.Equal(best!.Value, cost);
                Assert.Equal(cost, Cost(bar, place));
                Assert.Equal(0UL, place.Offset % (Page << shift));
            }
        });
    }

    [Fact]
    public void Reserve_ThenUnreserve_LeavesNoTrace()
    {
        Gen.Select(Gen.Int[0, PageCount - 1], Gen.Int[1, 6], Gen.Bool, Gen.Bool).Array[1, 12].Sample(steps =>
        {
            var bar = new RangeAllocator<Holder>(PageCount * Page, Page);
            var reserved = new List<(BarRange Range, Holder Holder, bool ReadOnly)>();
            foreach (var (start, length, readOnly, isLease) in steps)
            {
                BarRange range = Pages((ulong)start, (ulong)Math.Min(length, PageCount - start));
                if (isLease && bar.FindConflict(range, readOnly) is null)
                    bar.Take(range, new Holder(1, 1), readOnly);
                else if (!isLease)
                    reserved.Add((range, new Holder(1, 0), readOnly));
            }

            string before = Describe(bar);
            foreach (var (range, holder, readOnly) in reserved)
            {
                bar.Reserve(range, holder, readOnly);
                Assert.NotNull(bar.FindConflict(range, readOnly: false));
            }

            foreach (var (range, holder, readOnly) in reserved)
                bar.Unreserve(range, holder, readOnly);
            Assert.Equal(before, Describe(bar));
        });
    }

    private static HolderCost CostOf(Holder holder) => holder.Weight < 0 ? HolderCost.Never : new HolderCost(holder.Weight, holder.Age);

    private static HolderCost? Cost(RangeAllocator<Holder> bar, BarRange window)
    {
        Holder[] holders = [.. bar.HoldersIn(window)];
        if (Array.Exists(holders, static h => h.Weight < 0))
            return null;
        return new HolderCost(holders.Sum(static h => h.Weight), holders.Where(static h => h.Weight > 0).Select(static h => h.Age).DefaultIfEmpty(ulong.MaxValue).Min());
    }

    /// <summary>Who holds each page, and what the counters say.</summary>
    private static string Describe(RangeAllocator<Holder> bar) => string.Join(' ', Enumerable.Range(0, PageCount)
        .Select(p => string.Join('+', bar.HoldersIn(Pages((ulong)p, 1)).Select(static h => h.GetHashCode()).Order()) + (bar.FindConflict(Pages((ulong)p, 1), readOnly: true) is null ? "r" : "x")))
        + $" {bar.Free} {bar.Leased} {bar.Quarantined} {bar.LargestFree}";

    private sealed class Holder(int weight, ulong age)
    {
        public int Weight => weight;

        public ulong Age => age;
    }
}
