// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.Diagnostics;
using BarBroker.Devices;
using BarBroker.Leases;
using static BarBroker.Tests.Leases.LeaseFixture;

namespace BarBroker.Tests.Leases;

public sealed class RangeAllocatorTests
{
    [Fact]
    public void TryTake_SeveralHolesFit_TakesTheSmallestAndLeavesTheLargest()
    {
        RangeAllocator<string> bar = WithHoles(pages: 64, Pages(4, 20), Pages(30, 3), Pages(40, 8));

        Assert.Equal(Pages(30, 2), One(bar, 2));
        Assert.Equal(Pages(40, 8), One(bar, 8));
        Assert.Equal(20 * Page, bar.LargestFree);
    }

    [Fact]
    public void TryTake_EqualHoles_TakesTheLowestOffset()
    {
        RangeAllocator<string> bar = WithHoles(pages: 64, Pages(30, 3), Pages(10, 3));

        Assert.Equal(Pages(10, 3), One(bar, 3));
    }

    [Fact]
    public void TryTake_Alignment_SkipsHolesThatAreLargeEnoughButMisplaced()
    {
        RangeAllocator<string> bar = WithHoles(pages: 64, Pages(9, 4), Pages(31, 6));

        Assert.Equal(Pages(32, 4), One(bar, 4, alignment: 8 * Page));
        Assert.Equal(Pages(9, 4), One(bar, 4));
    }

    [Fact]
    public void TryTake_SplitAllowed_UsesFewRangesAndTheSmallestHoleForTheRest()
    {
        RangeAllocator<string> bar = WithHoles(pages: 64, Pages(2, 2), Pages(10, 6), Pages(20, 3), Pages(40, 5));

        Assert.False(bar.TryTake(13 * Page, 0, allowSplit: false, "a", readOnly: false, out ImmutableArray<BarRange> ranges));
        Assert.True(bar.TryTake(13 * Page, 0, allowSplit: true, "a", readOnly: false, out ranges));

        Assert.Equal([Pages(2, 2), Pages(10, 6), Pages(40, 5)], ranges);
        Assert.Equal(3 * Page, bar.Free);
    }

    [Fact]
    public void TryTake_SplitAllowedButOneHoleFits_GivesOneRange()
    {
        RangeAllocator<string> bar = WithHoles(pages: 64, Pages(2, 2), Pages(10, 6));

        Assert.Equal(Pages(10, 4), One(bar, 4, split: true));
    }

    [Fact]
    public void TryTake_NoRoom_TakesNothing()
    {
        RangeAllocator<string> bar = WithHoles(pages: 64, Pages(2, 2), Pages(10, 6));

        Assert.False(bar.TryTake(9 * Page, 0, allowSplit: true, "a", readOnly: false, out _));
        Assert.Equal(8 * Page, bar.Free);
    }

    [Fact]
    public void FindConflict_ReadOnlyOverReadOnly_IsNone()
    {
        var bar = new RangeAllocator<string>(16 * Page, Page);
        bar.Take(Pages(0, 8), "a", readOnly: true);

        Assert.Null(bar.FindConflict(Pages(4, 8), readOnly: true));
        Assert.Equal("a", bar.FindConflict(Pages(4, 8), readOnly: false));
        bar.Take(Pages(4, 8), "b", readOnly: true);

        Assert.Equal(["a", "a,b", "b", ""], bar.Pieces.Select(static p => string.Join(",", p.Holders())));
        Assert.Equal((12 * Page, 4 * Page), (bar.Leased, bar.Free));
    }

    [Fact]
    public void Quarantine_OneOfTwoSharers_KeepsNewOnesOutUntilItIsReleased()
    {
        var bar = new RangeAllocator<string>(16 * Page, Page);
        bar.Take(Pages(0, 8), "a", readOnly: true);
        bar.Take(Pages(4, 8), "b", readOnly: true);

        bar.Quarantine(Pages(0, 8), "a");

        Assert.Equal((8 * Page, 4 * Page), (bar.Quarantined, bar.Leased));
        Assert.NotNull(bar.FindConflict(Pages(4, 1), readOnly: true));
        Assert.Null(bar.FindConflict(Pages(8, 1), readOnly: true));
        bar.Release(Pages(0, 8), "a", quarantined: true);
        Assert.Equal((0UL, 8 * Page, 8 * Page), (bar.Quarantined, bar.Leased, bar.Free));
        Assert.Null(bar.FindConflict(Pages(4, 1), readOnly: true));
    }

    [Fact]
    public void Release_BetweenHoles_JoinsThem()
    {
        var bar = new RangeAllocator<string>(16 * Page, Page);
        bar.Take(Pages(0, 4), "a", false);
        bar.Take(Pages(4, 4), "b", false);
        bar.Take(Pages(8, 8), "c", false);
        bar.Release(Pages(0, 4), "a", false);
        bar.Release(Pages(8, 8), "c", false);
        Assert.Equal(8 * Page, bar.LargestFree);

        bar.Release(Pages(4, 4), "b", false);

        Assert.Equal(16 * Page, bar.LargestFree);
        Assert.Single(bar.Pieces);
    }

    [Fact]
    public void TryTake_TenThousandHolders_VisitsFewOfThem()
    {
        // A search through all of them would take hours for this, not seconds.
        var bar = new RangeAllocator<string>(400_000 * Page, Page);
        for (ulong i = 0; i < 10_000; i++)
            bar.Take(Pages(i * 20, 1 + (i % 3)), "x", false);
        var watch = Stopwatch.StartNew();
        int rounds = 0;
        for (; rounds < 20_000; rounds++)
        {
            Assert.True(bar.TryTake(18 * Page, 0, false, "y", false, out ImmutableArray<BarRange> ranges));
            bar.Release(ranges[0], "y", false);
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{watch.Elapsed.TotalMicroseconds / rounds:F2} µs for take and release");
    }

    private static BarRange One(RangeAllocator<string> bar, ulong pages, ulong alignment = 0, bool split = false)
    {
        Assert.True(bar.TryTake(pages * Page, alignment, split, "new", readOnly: false, out ImmutableArray<BarRange> ranges));
        return Assert.Single(ranges);
    }

    /// <summary>A BAR that is taken but for these.</summary>
    private static RangeAllocator<string> WithHoles(ulong pages, params BarRange[] holes)
    {
        var bar = new RangeAllocator<string>(pages * Page, Page);
        ulong at = 0;
        foreach (BarRange hole in holes.OrderBy(static h => h.Offset).Append(new BarRange(pages * Page, 0)))
        {
            if (hole.Offset > at)
                bar.Take(new BarRange(at, hole.Offset - at), "taken", readOnly: false);
            at = hole.End;
        }

        return bar;
    }
}
