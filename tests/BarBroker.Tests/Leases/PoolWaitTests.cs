// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;
using BarBroker.Policy;
using BarBroker.Pools;
using static BarBroker.Tests.Leases.LeaseFixture;
using static BarBroker.Tests.Leases.LeaseWaitTests;
using static BarBroker.Tests.Leases.PoolFixture;

namespace BarBroker.Tests.Leases;

/// <summary>Waiting, places kept, priorities and preemption in pools are those of devices.</summary>
public sealed class PoolWaitTests
{
    private const uint Boss = 1;

    [Fact]
    public void Wait_PoolIsFull_InTheQueueOfEachOfItsDevicesAndTakesWhicheverComesFirst()
    {
        using var f = With([Queues(1, null, "dev0", "dev1")], new FakeDevice("dev0"), new FakeDevice("dev1"), new FakeDevice("dev2"));
        f.Active(From("queues"));
        LeaseInfo second = f.Active(From("queues"));
        Task<Grant> waiting = Begin(f, From("queues"), Owner(1001));
        Assert.Equal([1, 1, 0], f.Manager.Devices().Select(static d => d.Waiting));
        Assert.All(f.Manager.Waiting(LeaseFilter.All), static w => Assert.Equal("queues", w.Pool));

        f.Manager.End(second.Id, EndReason.Operator, "");
        f.Pump();

        Assert.Equal(("dev1", 0), Wait(waiting).Lease.Place());
        Assert.Equal([0, 0, 0], f.Manager.Devices().Select(static d => d.Waiting));
    }

    [Fact]
    public void Wait_TwoOfThem_FirstComeFirst()
    {
        using var f = With(Queues(2));
        LeaseInfo[] held = [f.Active(From("queues")), f.Active(From("queues"))];
        Task<Grant> first = Begin(f, From("queues"), Owner(1001));
        Task<Grant> second = Begin(f, From("queues"), Owner(1002));
        // Each has a slot of its own in sight, in both BARs.
        Assert.Equal([Pages(0, 1), Pages(4, 1)], f.Manager.Waiting(LeaseFilter.All).Select(static w => w.Kept[0].Ranges[0]));
        Assert.Equal([Pages(64, 8), Pages(72, 8)], f.Manager.Waiting(LeaseFilter.All).Select(static w => w.Kept[1].Ranges[0]));

        f.Manager.End(held[1].Id, EndReason.Operator, "");
        f.Pump();

        Assert.Equal(1, Wait(first).Lease.PoolSlot);
        Assert.False(second.IsCompleted);
        Assert.Equal(Pages(0, 1), f.Manager.Waiting(LeaseFilter.All)[0].Kept[0].Ranges[0]);
    }

    [Fact]
    public void Wait_NamedSlot_OnlyThatOneAndOthersPass()
    {
        using var f = With(Queues(2));
        LeaseInfo held = f.Active(From("queues", 0));
        Task<Grant> named = Begin(f, From("queues", 0), Owner(1001));

        Assert.Equal(1, f.Active(From("queues"), Owner(1002)).PoolSlot);
        Assert.Equal(LeaseError.NoRoom, f.Refused(From("queues"), Owner(1002)).Error);
        f.Manager.End(held.Id, EndReason.Operator, "");
        f.Pump();

        Assert.Equal(0, Wait(named).Lease.PoolSlot);
    }

    [Fact]
    public void Wait_ForThePool_StandsInNobodysWayOutsideOfIt()
    {
        using var f = With(Queues(1));
        f.Active(From("queues"));
        Begin(f, From("queues"), Owner(1001));

        f.Active(Sized(100 * Page), Owner(1002));
        f.Active(Request(new BufferRequest(2, [], 64 * Page)), Owner(1002));
    }

    [Fact]
    public void Wait_DeviceOpensWithoutRoomForThePool_RefusedForGood()
    {
        var device = new FakeDevice("dev0", barSize: 16 * Page) { FailOpen = true };
        using var f = With([Queues()], device);
        Task<Grant> waiting = Begin(f, From("queues"));
        Assert.False(waiting.IsCompleted);

        device.FailOpen = false;
        f.Pass(TimeSpan.FromSeconds(1));
        f.Pump();

        Assert.Equal(LeaseError.Unsupported, Refusal(waiting).Error);
    }

    [Fact]
    public void Preempt_FullPool_TakesTheYoungestSlotThatIsLower()
    {
        using var f = new LeaseFixture(Preempting(Queues(3)));
        LeaseInfo[] held = [f.Active(From("queues") with { Priority = 1 }), f.Active(From("queues") with { Priority = 1 }), f.Active(From("queues") with { Priority = 9 })];
        LeaseInfo outside = f.Active(Sized(Page));

        Task<Grant> boss = Begin(f, From("queues") with { Priority = 5 }, Owner(Boss));

        Assert.Equal([held[1].Id], f.Manager.List(LeaseFilter.All with { States = [LeaseState.Recalled] }).Select(static l => l.Id));
        f.Pass(TimeSpan.FromSeconds(10));
        f.Pump();
        Assert.Equal((Boss, 1), (Wait(boss).Lease.Owner.Uid, Wait(boss).Lease.PoolSlot));
        Assert.Equal(EndReason.Preempted, f.Get(held[1].Id).EndReason);
        Assert.Equal(LeaseState.Active, f.Get(outside.Id).State);
    }

    [Fact]
    public void Preempt_FullWindow_TakesOnlyFromTheWindow()
    {
        using var f = new LeaseFixture(Preempting(Memory()));
        LeaseInfo[] held = [.. Enumerable.Range(0, 4).Select(_ => f.Active(SizedFrom("memory", 4 * Page)))];
        f.Active(Request(new BufferRequest(2, [Pages(0, 16)])));

        Begin(f, SizedFrom("memory", 4 * Page) with { Priority = 5 }, Owner(Boss));

        Assert.Equal([held[3].Id], f.Manager.List(LeaseFilter.All with { States = [LeaseState.Recalled] }).Select(static l => l.Id));
    }

    private static LeaseOptions Preempting(Pool pool) => new()
    {
        Pools = [pool],
        Rules = [new PolicyRule("r", PolicyMatch.Everybody, Lease: new LeaseRule { MaxPriority = 10, MayPreempt = true, RecallGrace = TimeSpan.FromSeconds(10) })],
    };
}
