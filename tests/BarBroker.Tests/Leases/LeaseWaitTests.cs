// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Leases;
using BarBroker.Policy;
using CsCheck;
using static BarBroker.Tests.Leases.LeaseFixture;

namespace BarBroker.Tests.Leases;

public sealed class LeaseWaitTests
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    [Fact]
    public void Wait_RangeIsReleased_GrantedInTheSameTransitionAsTheProof()
    {
        using var f = new LeaseFixture();
        LeaseInfo holder = f.Active(Explicit(Pages(0, 4)));
        Task<Grant> waiting = Begin(f, Explicit(Pages(2, 4)), Owner(1001));

        _ = f.Manager.ReleaseAsync(holder.Id, 1000, CancellationToken.None);
        Assert.False(waiting.IsCompleted);
        Assert.Equal(1, f.Manager.Device("dev0").Waiting);
        f.Pump();

        Grant grant = Wait(waiting);
        Assert.Equal(Pages(2, 4), Assert.Single(Assert.Single(grant.Lease.Buffers).Ranges));
        Assert.True(grant.Lease.Epoch > holder.Epoch);
        Assert.Equal(0, f.Manager.Device("dev0").Waiting);
        // Between the proof and the grant nothing was told: there was no moment in between.
        int ended = f.Told.FindIndex(l => l.Id == holder.Id && l.State == LeaseState.Ended);
        Assert.Equal((grant.Lease.Id, LeaseState.Granted), (f.Told[ended + 1].Id, f.Told[ended + 1].State));
    }

    [Fact]
    public void Wait_NothingInTheWay_GrantedAtOnce()
    {
        using var f = new LeaseFixture();

        Assert.Equal(LeaseState.Granted, f.Acquire(Sized(Page) with { Wait = Minute }).Lease.State);
    }

    [Fact]
    public void Wait_DeadlinePasses_RefusedAsWithoutWaiting()
    {
        using var f = new LeaseFixture();
        LeaseInfo holder = f.Active(Explicit(Pages(0, 4)) with { Ttl = TimeSpan.FromMinutes(10) });
        Task<Grant> waiting = Begin(f, Explicit(Pages(0, 1)) with { Wait = TimeSpan.FromSeconds(5) });

        f.Pass(TimeSpan.FromSeconds(4.9));
        Assert.False(waiting.IsCompleted);
        f.Pass(TimeSpan.FromSeconds(0.1));

        LeaseException e = Refusal(waiting);
        Assert.Equal((LeaseError.NoRoom, holder.Id), (e.Error, e.LeaseId));
        Assert.Equal($"waited for 5 s: range [0x0, +0x1000) of BAR 0 of dev0 is held by lease {holder.Id}", e.Message);
        Assert.Empty(f.Manager.Waiting(LeaseFilter.All));
    }

    [Fact]
    public async Task Wait_Cancelled_LeavesNothingAndLetsOthersPass()
    {
        using var f = new LeaseFixture(null, new FakeDevice("dev0", barSize: 4 * Page));
        f.Active(Explicit(Pages(0, 2)));
        using var cancel = new CancellationTokenSource();
        Task<Grant> large = f.Manager.AcquireAsync(Sized(4 * Page) with { Wait = Minute }, Owner(1001), cancel.Token).AsTask();
        Task<Grant> small = Begin(f, Sized(Page), Owner(1002));
        f.Pump();
        Assert.False(small.IsCompleted);

        await cancel.CancelAsync();
        f.Pump();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => large);
        Assert.Equal(1002u, Wait(small).Lease.Owner.Uid);
        Assert.Empty(f.Manager.Waiting(LeaseFilter.All));
    }

    [Fact]
    public void Wait_ProcessExits_Refused()
    {
        using var f = new LeaseFixture();
        f.Active(Explicit(Pages(0, 4)));
        LeaseOwner owner = Owner(1001);
        Task<Grant> waiting = Begin(f, Explicit(Pages(0, 1)), owner);

        f.Manager.OwnerExited(owner);

        Assert.Equal(LeaseError.Denied, Refusal(waiting).Error);
        Assert.Empty(f.Manager.Waiting(LeaseFilter.All));
    }

    [Fact]
    public void Wait_Shutdown_Refused()
    {
        using var f = new LeaseFixture();
        f.Active(Explicit(Pages(0, 4)));
        Task<Grant> waiting = Begin(f, Explicit(Pages(0, 1)));

        _ = f.Manager.ShutdownAsync(CancellationToken.None);

        Assert.Equal(LeaseError.Unavailable, Refusal(waiting).Error);
    }

    [Fact]
    public void Wait_CordonedDevice_GrantedWhenUncordoned()
    {
        using var f = new LeaseFixture();
        f.Manager.Cordon("dev0", "service");
        Task<Grant> waiting = Begin(f, Sized(Page));
        f.Pump();
        Assert.False(waiting.IsCompleted);

        f.Manager.Uncordon("dev0");
        f.Pump();

        Assert.Equal("dev0", Wait(waiting).Lease.Device);
    }

    [Fact]
    public void Wait_DeviceDoesNotOpen_GrantedWhenItDoes()
    {
        var device = new FakeDevice("dev0") { FailOpen = true };
        using var f = new LeaseFixture(null, device);
        Task<Grant> waiting = Begin(f, Sized(Page) with { Wait = TimeSpan.FromMinutes(10) });

        device.FailOpen = false;
        f.Pass(TimeSpan.FromSeconds(30));
        f.Pump();

        Assert.Equal("dev0", Wait(waiting).Lease.Device);
    }

    [Fact]
    public void Wait_DeviceOpensAndIsUnfit_Refused()
    {
        var device = new FakeDevice("dev0") { FailOpen = true };
        using var f = new LeaseFixture(null, device);
        Task<Grant> waiting = Begin(f, Request(new BufferRequest(4, [], Page)) with { Wait = TimeSpan.FromMinutes(10) });

        device.FailOpen = false;
        f.Pass(TimeSpan.FromSeconds(30));
        f.Pump();

        Assert.Equal((LeaseError.Invalid, "buffers[0].bar"), (Refusal(waiting).Error, Refusal(waiting).Field));
    }

    [Fact]
    public void Wait_QuotaIsFreed_Granted()
    {
        using var f = new LeaseFixture(new LeaseOptions { MaxLeasesPerUid = 1 }, new FakeDevice("dev0"), new FakeDevice("dev1"));
        LeaseInfo holder = f.Active(Sized(Page));
        Task<Grant> waiting = Begin(f, Sized(Page) with { Device = "dev1" });
        f.Pump();
        Assert.False(waiting.IsCompleted);

        _ = f.Manager.ReleaseAsync(holder.Id, 1000, CancellationToken.None);
        f.Pump();

        Assert.Equal("dev1", Wait(waiting).Lease.Device);
    }

    [Fact]
    public void Wait_OverItsOwnQuota_StandsInNobodysWay()
    {
        using var f = new LeaseFixture(new LeaseOptions { MaxLeasesPerUid = 1 }, new FakeDevice("dev0", barSize: 4 * Page));
        f.Active(Sized(Page));
        Task<Grant> waiting = Begin(f, Sized(Page));

        Assert.Equal(1001u, f.Acquire(Sized(3 * Page), Owner(1001)).Lease.Owner.Uid);
        Assert.False(waiting.IsCompleted);
    }

    [Fact]
    public void Wait_MoreThanTheQuotaWillEverAllow_RefusedAtOnce()
    {
        using var f = new LeaseFixture(new LeaseOptions { MaxBytesPerUid = 2 * Page });

        Assert.Equal(LeaseError.Quota, f.Refused(Sized(3 * Page) with { Wait = Minute }).Error);
    }

    [Fact]
    public void Wait_TooMany_Refused()
    {
        using var f = new LeaseFixture(new LeaseOptions { MaxWaitingPerUid = 2 });
        f.Active(Explicit(Pages(0, 1)));
        Begin(f, Explicit(Pages(0, 1)));
        Begin(f, Explicit(Pages(0, 1)));

        LeaseException e = f.Refused(Explicit(Pages(0, 1)) with { Wait = Minute });
        Assert.Equal((LeaseError.Quota, "wait"), (e.Error, e.Field));
        Assert.StartsWith("uid 1000 has 2 acquires that wait, and 2 is its quota; and without waiting: range", e.Message, StringComparison.Ordinal);
        Begin(f, Explicit(Pages(0, 1)), Owner(1001));
        Assert.Equal(3, f.Manager.Device("dev0").Waiting);
    }

    [Fact]
    public void Wait_SameRequestIdWhileWaiting_BothGetTheSameLease()
    {
        using var f = new LeaseFixture();
        LeaseInfo holder = f.Active(Explicit(Pages(0, 1)));
        LeaseOwner owner = Owner(1001);
        Task<Grant> first = Begin(f, Explicit(Pages(0, 1)) with { RequestId = "r" }, owner);
        Task<Grant> second = Begin(f, Explicit(Pages(0, 1)) with { RequestId = "r" }, owner);
        Assert.Single(f.Manager.Waiting(LeaseFilter.All));

        f.Manager.End(holder.Id, EndReason.Operator, "");
        f.Pump();

        Assert.Equal(Wait(first).Lease.Id, Wait(second).Lease.Id);
    }

    [Fact]
    public void Order_FirstComeFirst()
    {
        using var f = new LeaseFixture();
        LeaseInfo holder = f.Active(Explicit(Pages(0, 1)));
        Task<Grant>[] waiting = [.. Enumerable.Range(0, 3).Select(i => Begin(f, Explicit(Pages(0, 1)), Owner(2000 + (uint)i)))];
        Assert.Equal([1, 2, 3], f.Manager.Waiting(LeaseFilter.All).Select(static w => w.Position));

        foreach (Task<Grant> next in waiting)
        {
            f.Manager.End(holder.Id, EndReason.Operator, "");
            f.Pump();
            holder = Wait(next).Lease;
        }
    }

    [Fact]
    public void Order_HigherPriority_GoesFirst()
    {
        using var f = Priorities();
        LeaseInfo holder = f.Active(Explicit(Pages(0, 1)));
        Task<Grant> low = Begin(f, Explicit(Pages(0, 1)) with { Priority = 1 }, Owner(2000));
        Task<Grant> high = Begin(f, Explicit(Pages(0, 1)) with { Priority = 9 }, Owner(2001));

        f.Manager.End(holder.Id, EndReason.Operator, "");
        f.Pump();

        Assert.Equal(2001u, Wait(high).Lease.Owner.Uid);
        Assert.False(low.IsCompleted);
    }

    [Fact]
    public void Order_HigherPriorityAfterPatience_ComesBehind()
    {
        using var f = Priorities();
        LeaseInfo holder = f.Active(Explicit(Pages(0, 1)) with { Ttl = TimeSpan.FromMinutes(30) });
        Task<Grant> low = Begin(f, Explicit(Pages(0, 1)) with { Priority = 1, Wait = TimeSpan.FromMinutes(30) }, Owner(2000));
        f.Pass(Minute);
        Task<Grant> high = Begin(f, Explicit(Pages(0, 1)) with { Priority = 9 }, Owner(2001));

        f.Manager.End(holder.Id, EndReason.Operator, "");
        f.Pump();

        Assert.Equal(2000u, Wait(low).Lease.Owner.Uid);
        Assert.False(high.IsCompleted);
    }

    [Fact]
    public void Order_SmallOnesThatFit_TakeNothingOfTheLargeOnesPlace()
    {
        using var f = new LeaseFixture(null, new FakeDevice("dev0", barSize: 8 * Page));
        LeaseInfo[] held = [f.Active(Explicit(Pages(1, 1))), f.Active(Explicit(Pages(6, 1))), f.Active(Explicit(Pages(7, 1)))];
        Task<Grant> large = Begin(f, Sized(4 * Page), Owner(1001));

        // Free are 0 and 2 to 5: that is where it fits, and where it is granted.
        Assert.Equal(Pages(2, 4), Wait(large).Lease.Buffers[0].Ranges[0]);
        Task<Grant> larger = Begin(f, Sized(6 * Page), Owner(1002));
        WaiterInfo waiter = Assert.Single(f.Manager.Waiting(LeaseFilter.All));
        Assert.Equal(Pages(0, 6), Assert.Single(Assert.Single(waiter.Kept).Ranges));

        // Page 0 is free, and kept; nothing else is.
        LeaseException e = f.Refused(Sized(Page), Owner(1003));
        Assert.Equal(LeaseError.NoRoom, e.Error);
        Assert.Contains("apart from what is kept for requests that wait", e.Message, StringComparison.Ordinal);
        Assert.Equal(LeaseError.NoRoom, f.Refused(Explicit(Pages(0, 1)), Owner(1003)).Error);

        f.Manager.End(held[1].Id, EndReason.Operator, "");
        f.Pump();
        Assert.Equal(Pages(6, 1), f.Acquire(Sized(Page), Owner(1003)).Lease.Buffers[0].Ranges[0]);
        f.Manager.End(held[0].Id, EndReason.Operator, "");
        f.Manager.End(Wait(large).Lease.Id, EndReason.Operator, "");
        f.Pump();
        Assert.Equal(Pages(0, 6), Wait(larger).Lease.Buffers[0].Ranges[0]);
    }

    [Fact]
    public void Order_ReadersOneAfterTheOther_DoNotKeepAWriterOut()
    {
        using var f = new LeaseFixture();
        LeaseInfo reader = f.Active(Explicit(Pages(0, 4)) with { Access = BufferAccess.ReadOnly });
        Task<Grant> writer = Begin(f, Explicit(Pages(0, 4)), Owner(1001));

        Assert.Equal(LeaseError.NoRoom, f.Refused(Explicit(Pages(1, 1)) with { Access = BufferAccess.ReadOnly }, Owner(1002)).Error);
        f.Manager.End(reader.Id, EndReason.Operator, "");
        f.Pump();

        Assert.Equal(1001u, Wait(writer).Lease.Owner.Uid);
    }

    [Fact]
    public void Order_ReaderOfASize_ItsPlaceIsNotSharedWithReadersBehind()
    {
        using var f = new LeaseFixture(null, new FakeDevice("dev0", barSize: 4 * Page));
        LeaseInfo holder = f.Active(Explicit(Pages(3, 1)));
        Task<Grant> sized = Begin(f, Sized(4 * Page) with { Access = BufferAccess.ReadOnly }, Owner(1001));

        // A size is given free bytes; what a reader gets there now would have to go first.
        Assert.Equal(LeaseError.NoRoom, f.Refused(Explicit(Pages(0, 1)) with { Access = BufferAccess.ReadOnly }, Owner(1002)).Error);
        f.Manager.End(holder.Id, EndReason.Operator, "");
        f.Pump();

        Assert.Equal(1001u, Wait(sized).Lease.Owner.Uid);
    }

    [Fact]
    public void Place_TwoBuffersThatFitOnlyInOneWay_Granted()
    {
        using var f = new LeaseFixture(null, new FakeDevice("dev0", barSize: 4 * Page));

        // The first where it fits best, at 0, would leave no aligned page for the second.
        Grant grant = f.Acquire(Request(new BufferRequest(0, [], 3 * Page), new BufferRequest(0, [], Page, 4 * Page)));

        Assert.Equal([Pages(1, 3), Pages(0, 1)], grant.Lease.Buffers.Select(static b => b.Ranges[0]));
    }

    [Fact]
    public void Order_DeviceOfOneUserAtATime_TheNextUserGetsItsTurn()
    {
        using var f = new LeaseFixture(null, new FakeDevice("dev0", RevocationDomain.Device));
        LeaseInfo first = f.Active(Explicit(Pages(0, 1)));
        Task<Grant> other = Begin(f, Explicit(Pages(4, 1)), Owner(1001));

        Assert.Contains("another one's turn comes first", f.Refused(Explicit(Pages(8, 1))).Message, StringComparison.Ordinal);
        f.Manager.End(first.Id, EndReason.Operator, "");
        f.Pump();

        Assert.Equal(1001u, Wait(other).Lease.Owner.Uid);
    }

    [Fact]
    public void Place_LeaseThereGetsStuck_MovesElsewhere()
    {
        var device = new FakeDevice("dev0", barSize: 4 * Page);
        using var f = new LeaseFixture(null, device);
        LeaseInfo left = f.Active(Explicit(Pages(0, 2)));
        LeaseInfo right = f.Active(Explicit(Pages(2, 2)));
        Task<Grant> waiting = Begin(f, Sized(2 * Page), Owner(1001));
        Assert.Equal(Pages(0, 2), f.Manager.Waiting(LeaseFilter.All)[0].Kept[0].Ranges[0]);

        device.FailRevoke = true;
        f.Manager.End(left.Id, EndReason.Operator, "");
        f.Pump();
        Assert.Equal(Pages(2, 2), f.Manager.Waiting(LeaseFilter.All)[0].Kept[0].Ranges[0]);
        device.FailRevoke = false;
        f.Manager.End(right.Id, EndReason.Operator, "");
        f.Pump();

        Assert.Equal(Pages(2, 2), Wait(waiting).Lease.Buffers[0].Ranges[0]);
    }

    [Fact]
    public void AnyDevice_WaitsForAll_TakesWhicheverComesFirst()
    {
        using var f = new LeaseFixture(null, new FakeDevice("dev0", barSize: Page), new FakeDevice("dev1", barSize: Page));
        f.Active(Sized(Page));
        LeaseInfo second = f.Active(Sized(Page) with { Device = "dev1" });
        Task<Grant> waiting = Begin(f, Sized(Page) with { Device = "" }, Owner(1001));
        Assert.Equal([1, 1], f.Manager.Devices().Select(static d => d.Waiting));

        f.Manager.End(second.Id, EndReason.Operator, "");
        f.Pump();

        Assert.Equal("dev1", Wait(waiting).Lease.Device);
        Assert.Equal([0, 0], f.Manager.Devices().Select(static d => d.Waiting));
    }

    [Fact]
    public void AnyDevice_Waits_KeepsOthersFromOneDeviceOnly()
    {
        using var f = new LeaseFixture(null, new FakeDevice("dev0", barSize: 2 * Page), new FakeDevice("dev1", barSize: 2 * Page));
        f.Active(Sized(Page));
        f.Active(Sized(Page) with { Device = "dev1" });
        Begin(f, Sized(2 * Page) with { Device = "" }, Owner(1001));

        Assert.Equal("dev1", f.Acquire(Sized(Page) with { Device = "" }, Owner(1002)).Lease.Device);
        Assert.Equal(LeaseError.NoRoom, f.Refused(Sized(Page) with { Device = "" }, Owner(1002)).Error);
    }

    [Fact]
    public void AnyDevice_PlaceMovesToAnotherDevice_ThoseBehindItThereMoveToo()
    {
        using var f = new LeaseFixture(
            new LeaseOptions { Rules = [new PolicyRule("r", PolicyMatch.Everybody, Lease: new LeaseRule { MaxPriority = 10 })] },
            new FakeDevice("dev0", barSize: 8 * Page),
            new FakeDevice("dev1", barSize: 8 * Page));
        f.Active(Sized(8 * Page));
        f.Active(Sized(8 * Page) with { Device = "dev1" });
        Begin(f, Sized(8 * Page) with { Device = "" }, Owner(1001));
        Begin(f, Sized(4 * Page) with { Device = "" }, Owner(1002));
        Assert.Equal([("dev0", 1001u), ("dev1", 1002u)], Kept());

        // Ahead of the first on its device: that has to go where the second is.
        Begin(f, Explicit(Pages(0, 1)) with { Priority = 1 }, Owner(1003));

        Assert.Equal([("dev0", 1003u), ("dev0", 1002u), ("dev1", 1001u)], Kept());

        IEnumerable<(string, uint)> Kept() => f.Manager.Waiting(LeaseFilter.All).Where(static w => w.Kept.Length > 0).Select(static w => (w.Device, w.Owner.Uid));
    }

    /// <summary>
    /// Small leases come and go for ever, and there is always room for the next of them; the large request is granted as soon as those have ended that were in its place
    /// when it came.
    /// </summary>
    [Fact]
    public void Starvation_EndlessSmallOnes_TheLargeOneWaitsOnlyForThoseThatWereThere()
    {
        const int PageCount = 16;
        Gen.Select(Gen.Int[0, PageCount - 1].Array[200], Gen.Int[2, 8]).Sample((choices, size) =>
        {
            using var f = new LeaseFixture(null, new FakeDevice("dev0", barSize: PageCount * Page));
            Queue<LeaseInfo> small = new(Enumerable.Range(0, PageCount).Select(p => f.Active(Explicit(Pages((ulong)p, 1)) with { Ttl = TimeSpan.FromMinutes(50) })));
            Task<Grant> large = Begin(f, Sized((ulong)size * Page), Owner(1001));
            BarRange place = f.Manager.Waiting(LeaseFilter.All)[0].Kept[0].Ranges[0];
            HashSet<string> inPlace = [.. small.Where(l => l.Buffers[0].Ranges[0].Offset >= place.Offset && l.Buffers[0].Ranges[0].End <= place.End).Select(static l => l.Id)];
            foreach (int choice in choices)
            {
                LeaseInfo[] all = [.. small];
                LeaseInfo next = all[choice % all.Length];
                f.Manager.End(next.Id, EndReason.Released, "");
                f.Pump();
                small = new Queue<LeaseInfo>(all.Where(l => l != next));
                inPlace.Remove(next.Id);
                Assert.True(inPlace.Count > 0 || f.Manager.Waiting(LeaseFilter.All).IsEmpty, "the large one waits on");
                if (f.Manager.Waiting(LeaseFilter.All).IsEmpty)
                    return;
                Task<Grant> another = f.Manager.AcquireAsync(Sized(Page), Owner(1002), CancellationToken.None).AsTask();
                f.Pump();
                if (!another.IsFaulted)
                    small.Enqueue(Wait(another).Lease);
            }
        }, iter: 100);
    }

    internal static Task<Grant> Begin(LeaseFixture f, AcquireRequest request, LeaseOwner? owner = null)
    {
        Task<Grant> task = f.Manager.AcquireAsync(request with { Wait = request.Wait ?? Minute }, owner ?? Owner(), CancellationToken.None).AsTask();
        f.Pump();
        return task;
    }

    internal static LeaseException Refusal(Task<Grant> task) => Assert.Throws<LeaseException>(() => Wait(task));

    private static LeaseFixture Priorities() => new(new LeaseOptions { Rules = [new PolicyRule("r", PolicyMatch.Everybody, Lease: new LeaseRule { MaxPriority = 10 })] });
}
