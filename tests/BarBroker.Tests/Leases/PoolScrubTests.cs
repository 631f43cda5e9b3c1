// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Leases;
using BarBroker.Pools;
using static BarBroker.Tests.Leases.LeaseFixture;
using static BarBroker.Tests.Leases.PoolFixture;

namespace BarBroker.Tests.Leases;

public sealed class PoolScrubTests
{
    private const uint Word = 0xdeadbeef;
    private const ulong PiecePages = LeaseBook.ScrubPieceBytes / Page;

    [Fact]
    public void Acquire_PoolScrubs_WholeSlotIsWrittenBeforeEachExport()
    {
        using var f = With(Queues(4, Word));
        var calls = new List<string>();
        f.Device.OnCall = calls.Add;

        LeaseInfo lease = f.Active(From("queues"));
        f.Manager.End(lease.Id, EndReason.Operator, "");
        f.Pump();
        f.Active(From("queues"));

        Assert.Equal(["Fill", "Fill", "Export", "Export", "Revoke", "Revoke", "Fill", "Fill", "Export", "Export"], calls);
        (int, BarRange, uint)[] slot = [(0, Pages(0, 1), Word), (2, Pages(64, 8), Word)];
        Assert.Equal([.. slot, .. slot], f.Device.Filled);
    }

    [Fact]
    public void Acquire_LargeRange_InPiecesAndWhatWasAskedForMeanwhileGoesFirst()
    {
        using var f = With(Large());
        LeaseInfo other = f.Active(Sized(Page));
        var calls = new List<string>();
        f.Device.OnCall = call =>
        {
            calls.Add(call);
            // While the first piece is being written, somebody's lease ends.
            if (call == "Fill" && calls.Count == 1)
                f.Manager.End(other.Id, EndReason.Operator, "");
        };

        LeaseInfo lease = f.Active(From("large"));

        Assert.Equal(["Fill", "Revoke", "Fill", "Fill", "Export"], calls);
        Assert.Equal([Pages(0, PiecePages), Pages(PiecePages, PiecePages), Pages(2 * PiecePages, 1)], f.Device.Filled.Select(static f => f.Range));
        Assert.Equal(LeaseState.Active, f.Get(lease.Id).State);
    }

    [Fact]
    public void Acquire_ScrubFails_RefusedAndTheSlotIsFreeForTheNextWhoIsScrubbed()
    {
        using var f = With(Queues(4, Word));
        f.Device.FailFill = true;

        LeaseException e = f.Refused(From("queues"));
        Assert.Equal((LeaseError.Unavailable, "device dev0 is not available: scrub failed: pwrite dev0: EIO"), (e.Error, e.Message));
        Assert.Empty(f.Device.Accessible);
        Assert.Equal(4, f.Manager.Pools()[0].Devices[0].FreeSlots);
        f.Device.FailFill = false;

        Assert.Equal(0, f.Active(From("queues")).PoolSlot);
        Assert.Equal(2, f.Device.Filled.Count);
    }

    [Fact]
    public async Task Acquire_CancelledWhileScrubbed_EndsAtOnceAndNothingIsExported()
    {
        using var f = With(Large());
        using var cancel = new CancellationTokenSource();
        Task<Grant> acquire = f.Manager.AcquireAsync(From("large"), Owner(), cancel.Token).AsTask();
        f.Executor("dev0").PumpOne();
        Assert.Single(f.Device.Filled);

        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => acquire);
        Assert.Equal(1, f.Manager.Pools()[0].Devices[0].FreeSlots);
        f.Pump();

        Assert.Single(f.Device.Filled);
        Assert.Empty(f.Device.Accessible);
        Assert.Equal(EndReason.Released, f.Manager.List(LeaseFilter.All with { IncludeEnded = true }).Single().EndReason);
    }

    [Fact]
    public void End_WhileAPieceIsBeingWritten_TheNextOwnerComesAfterItAndIsScrubbed()
    {
        using var f = With(Large());
        var first = Owner(1000, 1);
        Task<Grant>? second = null;
        f.Device.OnCall = call =>
        {
            if (call != "Fill" || second is not null)
                return;
            f.Manager.OwnerExited(first);
            second = f.Manager.AcquireAsync(From("large"), Owner(1001, 2), CancellationToken.None).AsTask();
        };

        LeaseException e = f.Refused(From("large"), first);

        Assert.Equal((LeaseError.Ended, EndReason.ClientExited), (e.Error, e.EndReason));
        Assert.Equal(1001u, Wait(second!).Lease.Owner.Uid);
        // One piece for the first, and all three for the second.
        Assert.Equal([0ul, 0, PiecePages, 2 * PiecePages], f.Device.Filled.Select(static f => f.Range.Offset / Page));
    }

    [Fact]
    public void Reset_BetweenPieces_TheScrubBeginsAnew()
    {
        using var f = With(Large());
        Task<Grant> acquire = f.Manager.AcquireAsync(From("large"), Owner(), CancellationToken.None).AsTask();
        f.Executor("dev0").PumpOne();

        f.Device.RaiseLost("the test says so");
        f.Pump();

        Assert.Equal(LeaseError.Unavailable, LeaseWaitTests.Refusal(acquire).Error);
        f.Pass(TimeSpan.FromSeconds(1));
        f.Pump();
        f.Active(From("large"));
        Assert.Equal([0ul, 0, PiecePages, 2 * PiecePages], f.Device.Filled.Select(static f => f.Range.Offset / Page));
    }

    [Fact]
    public void Recycle_BetweenPieces_TheScrubBeginsAnew()
    {
        using var f = With([Large()], new FakeDevice("dev0", RevocationDomain.Device));
        LeaseInfo other = f.Active(Sized(Page));
        Task<Grant> acquire = f.Manager.AcquireAsync(From("large"), Owner(), CancellationToken.None).AsTask();
        f.Executor("dev0").PumpOne();

        // On a device that revokes all at once this closes it, and what waits for its export stays.
        f.Manager.End(other.Id, EndReason.Operator, "");
        f.Pump();

        Assert.Equal(LeaseState.Granted, Wait(acquire).Lease.State);
        Assert.Equal(2, f.Device.Opens);
        Assert.Equal([0ul, 0, PiecePages, 2 * PiecePages], f.Device.Filled.Select(static f => f.Range.Offset / Page));
    }

    /// <summary>One slot of two pieces and a page, in BAR 0.</summary>
    private static Pool Large() => new("large", ["*"], [new SlotBuffer(0, 0, ((2 * PiecePages) + 1) * Page, ((2 * PiecePages) + 1) * Page)], 1, Word);
}
