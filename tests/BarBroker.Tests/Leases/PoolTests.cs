// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Leases;
using BarBroker.Policy;
using BarBroker.Pools;
using CsCheck;
using static BarBroker.Tests.Leases.LeaseFixture;
using static BarBroker.Tests.Leases.PoolFixture;

namespace BarBroker.Tests.Leases;

public sealed class PoolTests
{
    [Fact]
    public void Acquire_OneOfThePool_GetsTheFirstFreeSlotOfTheFirstDeviceThatHasOne()
    {
        using var f = With([Doorbells(2)], new FakeDevice("dev0"), new FakeDevice("dev1"));
        LeaseInfo[] leases = [.. Enumerable.Range(0, 4).Select(_ => f.Active(From("doorbells")))];

        Assert.Equal([("dev0", 0), ("dev0", 1), ("dev1", 0), ("dev1", 1)], leases.Select(static l => l.Place()));
        Assert.Equal(Pages(9, 1), Assert.Single(Assert.Single(leases[1].Buffers).Ranges));
        Assert.Equal("doorbells", leases[0].Pool);
        LeaseException full = f.Refused(From("doorbells"));
        Assert.Equal((LeaseError.NoRoom, "pool", "pool doorbells on dev0 has no free slot"), (full.Error, full.Field, full.Message));

        f.Manager.End(leases[0].Id, EndReason.Operator, "");
        f.Manager.End(leases[1].Id, EndReason.Operator, "");
        f.Pump();
        Assert.Equal(("dev0", 0), f.Active(From("doorbells")).Place());
    }

    [Fact]
    public void Acquire_SlotsInSeveralBars_AllOfTheSameSlotOrNone()
    {
        using var f = With(Queues());
        f.Active(From("queues"));

        LeaseInfo lease = f.Active(From("queues"));

        Assert.Equal(1, lease.PoolSlot);
        Assert.Equal([(0, Pages(4, 1)), (2, Pages(72, 8))], lease.Buffers.Select(static b => (b.Bar, b.Ranges.Single())));
        f.Device.ExportsUntilFailure = 1;
        Assert.Equal(LeaseError.Unavailable, f.Refused(From("queues")).Error);
        f.Device.ExportsUntilFailure = null;
        f.Pump();
        Assert.Equal((4, 2), Usage(f));
        Assert.Equal(2, f.Active(From("queues")).PoolSlot);

        static (int, int) Usage(LeaseFixture f) => (f.Manager.Pools()[0].Devices[0].Slots, f.Manager.Pools()[0].Devices[0].FreeSlots);
    }

    [Fact]
    public void Acquire_NamedSlot_ThatOneOrRefused()
    {
        using var f = With(Queues());

        LeaseInfo third = f.Active(From("queues", 2));
        Assert.Equal((2, Pages(80, 8)), (third.PoolSlot, third.Buffers[1].Ranges[0]));
        LeaseException taken = f.Refused(From("queues", 2));
        Assert.Equal((LeaseError.NoRoom, third.Id), (taken.Error, taken.LeaseId));
        LeaseException none = f.Refused(From("queues", 4));
        Assert.Equal((LeaseError.Invalid, "slot", "pool queues has slots 0 to 3 on dev0, and no slot 4"), (none.Error, none.Field, none.Message));
        Assert.Equal([0, 1, 3], Enumerable.Range(0, 3).Select(_ => f.Active(From("queues")).PoolSlot));
    }

    [Fact]
    public void Acquire_NamedSlotReadOnly_IsSharedUnlessThePoolScrubs()
    {
        using var f = With(Doorbells(), new Pool("clean", ["*"], [new SlotBuffer(0, 100 * Page, Page, Page)], 4, 0));
        AcquireRequest reader = From("doorbells", 1) with { Access = BufferAccess.ReadOnly };

        f.Active(reader);
        f.Active(reader);
        // Any slot is one that nobody has.
        Assert.Equal(0, f.Active(reader with { Slot = null }).PoolSlot);
        f.Active(reader with { Pool = "clean" });
        Assert.Equal(LeaseError.NoRoom, f.Refused(reader with { Pool = "clean" }).Error);
    }

    [Fact]
    public void Acquire_WithoutThePool_NeverPlacedInItAndRefusedByItsName()
    {
        using var f = With([Doorbells(248)], new FakeDevice("dev0"));

        Assert.Equal(Pages(0, 8), f.Active(Sized(8 * Page)).Buffers[0].Ranges[0]);
        LeaseException sized = f.Refused(Sized(Page));
        Assert.Equal("BAR 0 of dev0 has no room for 4 KiB: 0 bytes are free outside of pools, the largest range 0 bytes", sized.Message);
        LeaseException large = f.Refused(Sized(9 * Page));
        Assert.Equal((LeaseError.Invalid, "buffers[0].size"), (large.Error, large.Field));
        LeaseException named = f.Refused(Explicit(Pages(0, 1), Pages(7, 2)));
        Assert.Equal((LeaseError.Denied, "buffers[0].ranges[1]"), (named.Error, named.Field));
        Assert.Equal("range [0x7000, +0x2000) of BAR 0 of dev0 reaches into slot 0 of pool doorbells, which has [0x8000, +0x1000); ask for the pool instead of the range", named.Message);
        Assert.Equal(LeaseError.Denied, f.Refused(Explicit(Pages(9, 1)) with { Wait = TimeSpan.FromMinutes(1) }).Error);
    }

    [Fact]
    public void Acquire_BetweenTheSlots_IsNobodysAndLeased()
    {
        using var f = With(Queues());

        Assert.Equal(Pages(1, 3), f.Active(Explicit(Pages(1, 3))).Buffers[0].Ranges[0]);
        Assert.Equal(Pages(5, 3), f.Active(Sized(3 * Page)).Buffers[0].Ranges[0]);
        Assert.Equal(LeaseError.Denied, f.Refused(Explicit(Pages(8, 2))).Error);
    }

    [Fact]
    public void Acquire_OfAWindow_InMultiplesOfTheGranularityAndNowhereElse()
    {
        using var f = With(Memory());

        LeaseInfo first = f.Active(SizedFrom("memory", 2 * Page));
        Assert.Equal((2, Pages(16, 2), null), (first.Buffers[0].Bar, first.Buffers[0].Ranges[0], first.PoolSlot));
        LeaseException odd = f.Refused(SizedFrom("memory", 3 * Page));
        Assert.Equal((LeaseError.Invalid, "buffers[0].size"), (odd.Error, odd.Field));
        LeaseException large = f.Refused(SizedFrom("memory", 18 * Page));
        Assert.Equal((LeaseError.Invalid, "buffers[0].size"), (large.Error, large.Field));
        f.Active(SizedFrom("memory", 14 * Page));
        LeaseException full = f.Refused(SizedFrom("memory", 2 * Page));
        Assert.Equal((LeaseError.NoRoom, "pool memory on dev0 has no room for 8 KiB aligned to 0x2000: 0 bytes are free, the largest range 0 bytes"), (full.Error, full.Message));
        Assert.Equal(Pages(0, 16), f.Active(Request(new BufferRequest(2, [], 16 * Page))).Buffers[0].Ranges[0]);
    }

    [Fact]
    public void Acquire_FragmentedWindow_UsesTheHolesWhenPoolAndRequestAllow()
    {
        using var f = With(Memory());
        LeaseInfo[] leases = [.. Enumerable.Range(0, 8).Select(_ => f.Active(SizedFrom("memory", 2 * Page)))];
        foreach (int i in new[] { 0, 2, 4, 6 })
            f.Manager.End(leases[i].Id, EndReason.Operator, "");
        f.Pump();

        BarUsage window = f.Manager.Pools()[0].Devices[0].Windows.Single();
        Assert.Equal((8 * Page, 2 * Page, 0.75), (window.Free, window.LargestFree, window.Fragmentation));
        Assert.Equal(LeaseError.NoRoom, f.Refused(SizedFrom("memory", 6 * Page)).Error);
        LeaseInfo split = f.Active(SizedFrom("memory", 6 * Page, split: true));
        Assert.Equal(3, split.Buffers[0].Ranges.Length);

        using var g = With(Memory(allowSplit: false));
        LeaseInfo[] others = [.. Enumerable.Range(0, 8).Select(_ => g.Active(SizedFrom("memory", 2 * Page)))];
        g.Manager.End(others[0].Id, EndReason.Operator, "");
        g.Manager.End(others[2].Id, EndReason.Operator, "");
        g.Pump();
        Assert.Equal(LeaseError.NoRoom, g.Refused(SizedFrom("memory", 4 * Page, split: true)).Error);
    }

    [Fact]
    public void Acquire_SlotAndMemoryOfOnePool_SlotComesFirst()
    {
        var pool = new Pool("both", ["*"], [new WindowBuffer(2, 0, 8 * Page, Page, Page, true), new SlotBuffer(0, 0, Page, Page)], 8, null);
        using var f = With(pool);

        LeaseInfo plain = f.Active(From("both"));
        LeaseInfo lease = f.Active(SizedFrom("both", 3 * Page));

        Assert.Equal((0, 1), (plain.PoolSlot, plain.Buffers.Length));
        Assert.Equal((1, 0, 2), (lease.PoolSlot, lease.Buffers[0].Bar, lease.Buffers[1].Bar));
        Assert.Equal((Pages(1, 1), Pages(0, 3)), (lease.Buffers[0].Ranges[0], lease.Buffers[1].Ranges[0]));
        // All or nothing: without room in the window no slot is taken, either.
        f.Refused(SizedFrom("both", 6 * Page));
        Assert.Equal(6, f.Manager.Pools()[0].Devices[0].FreeSlots);
    }

    [Theory]
    [InlineData("no-such-pool", LeaseError.NotFound, "pool")]
    [InlineData("memory", LeaseError.Invalid, "buffers")]
    public void Acquire_NotWhatThePoolHas_Refused(string pool, object error, string field)
    {
        using var f = With(Doorbells(), Memory());

        LeaseException e = f.Refused(From(pool));
        Assert.Equal(((LeaseError)error, field), (e.Error, e.Field));
        Assert.Equal("buffers", f.Refused(SizedFrom("doorbells", Page)).Field);
        Assert.Equal("slot", f.Refused(Sized(Page) with { Slot = 1 }).Field);
        Assert.Equal("slot", f.Refused(SizedFrom("memory", 2 * Page) with { Slot = 1 }).Field);
        Assert.Equal("buffers[0].ranges", f.Refused(Request(new BufferRequest(2, [Pages(16, 2)])) with { Device = "", Pool = "memory" }).Field);
        Assert.Equal("buffers[0].bar", f.Refused(Request(new BufferRequest(1, [], 2 * Page)) with { Device = "", Pool = "memory" }).Field);
    }

    [Fact]
    public void Acquire_DeviceThatDoesNotServeIt_RefusedWithWhy()
    {
        using var f = With([Queues(4, null, "dev0", "dev1")], new FakeDevice("dev0", barSize: 16 * Page), new FakeDevice("dev1"), new FakeDevice("dev2"));

        Assert.Equal("dev1", f.Active(From("queues")).Device);
        LeaseException small = f.Refused(From("queues") with { Device = "dev0" });
        Assert.Equal((LeaseError.Unsupported, "device dev0 does not serve pool queues: BAR 2 has 256 KiB, and the pool begins at 0x40000 with 32 KiB"), (small.Error, small.Message));
        Assert.Equal("pool queues is not on device dev2; leave the device out", f.Refused(From("queues") with { Device = "dev2" }).Message);
        Assert.Equal([("dev0", 0), ("dev1", 4)], f.Manager.Pools()[0].Devices.Select(static d => (d.Device, d.Slots)));
        Assert.Equal(["queues"], f.Manager.Device("dev1").Pools);
        Assert.Empty(f.Manager.Device("dev0").Pools);
    }

    [Fact]
    public void Open_PoolsOverlap_OnlyTheFirstIsServed()
    {
        using var f = With(Doorbells(), new Pool("late", ["*"], [new SlotBuffer(0, 9 * Page, Page, Page)], null, null));

        Assert.Equal(["", "it overlaps with pool doorbells"], f.Manager.Pools().Select(static p => p.Devices[0].Fault));
        Assert.Equal(LeaseError.Unsupported, f.Refused(From("late")).Error);
    }

    [Fact]
    public void Acquire_PolicyOnPools_AllowedOrDeniedByName()
    {
        var options = new LeaseOptions
        {
            Pools = [Doorbells(), Memory()],
            Rules =
            [
                new PolicyRule("pools", PolicyMatch.Everybody with { Users = [new NamedId(1, "")] }, Lease: new LeaseRule { Pools = ["door*"], PoolsOnly = true, ExplicitRanges = false }),
                new PolicyRule("none", PolicyMatch.Everybody, Lease: new LeaseRule { Pools = [] }),
            ],
        };
        using var f = new LeaseFixture(options);

        Assert.Equal("pools", f.Active(From("doorbells"), Owner(1)).PolicyRule);
        Assert.Equal("policy rule pools does not allow pool memory; it allows door*", f.Refused(SizedFrom("memory", 2 * Page), Owner(1)).Message);
        Assert.Equal("policy rule pools allows leases from pools only; ask for one of door*", f.Refused(Sized(Page), Owner(1)).Message);
        Assert.Equal("slot", f.Refused(From("doorbells", 1), Owner(1)).Field);
        Assert.Equal("policy rule none does not allow pool doorbells; it allows none", f.Refused(From("doorbells")).Message);
        f.Active(Sized(Page));
    }

    [Fact]
    public void ApplyPolicy_PoolNoLongerAllowed_LeaseAndWaiterEnd()
    {
        using var f = With(Doorbells(1));
        LeaseInfo lease = f.Active(From("doorbells", 0));
        Task<Grant> waiting = LeaseWaitTests.Begin(f, From("doorbells"), Owner(1001));

        f.Manager.Reconfigure(new LeaseOptions { Rules = [new PolicyRule("r", PolicyMatch.Everybody, Lease: new LeaseRule { Pools = ["other"] })] });
        Assert.Equal(1, f.Manager.ApplyPolicy());
        f.Pump();

        Assert.Equal((EndReason.Policy, "policy rule r does not allow pool doorbells; it allows other"), (f.Get(lease.Id).EndReason, f.Get(lease.Id).EndDetail));
        Assert.Equal(LeaseError.Denied, LeaseWaitTests.Refusal(waiting).Error);
    }

    [Fact]
    public void Segments_FreeSlots_AreJoinedAndNamed()
    {
        using var f = With(Doorbells());
        f.Active(From("doorbells"));

        Assert.Equal(
            [(0ul, 8ul, SegmentUse.Free, ""), (8, 1, SegmentUse.Leased, "doorbells"), (9, 3, SegmentUse.Free, "doorbells"), (12, 244, SegmentUse.Free, "")],
            f.Manager.Segments("dev0").Where(static s => s.Bar == 0).Select(static s => (s.Range.Offset / Page, s.Range.Length / Page, s.Use, s.Pool)));
        BarUsage bar = f.Manager.Device("dev0").Bars[0];
        Assert.Equal((4 * Page, 255 * Page, Page, 244 * Page), (bar.Pooled, bar.Free, bar.Leased, bar.LargestFree));
        Assert.Equal(1 - (244.0 / 252), bar.Fragmentation, 9);
    }

    [Fact]
    public void Revoke_NotProven_SlotIsQuarantinedWithAllItsBuffers()
    {
        using var f = With(Queues());
        LeaseInfo lease = f.Active(From("queues"));
        f.Device.FailRevoke = true;

        f.Manager.End(lease.Id, EndReason.Operator, "");
        f.Pump();

        PoolUsage usage = f.Manager.Pools()[0].Devices[0];
        Assert.Equal((3, 0, 1), (usage.FreeSlots, usage.LeasedSlots, usage.QuarantinedSlots));
        Assert.Equal(1, f.Active(From("queues")).PoolSlot);
        f.Device.FailRevoke = false;
    }

    /// <summary>Slots come and go at random, some named: whoever has a slot has it in every BAR, the first free one is what is given, and the counts are right.</summary>
    [Fact]
    public void Acquire_RandomHistory_SlotsAreWholeAndTheFirstFreeOneIsGiven()
    {
        const int Slots = 6;
        Gen.Select(Gen.Int[0, 9], Gen.Int[0, Slots - 1]).Array[60].Sample(steps =>
        {
            using var f = With(Queues(Slots));
            var held = new SortedDictionary<int, LeaseInfo>();
            foreach (var (kind, which) in steps)
            {
                if (kind < 4 && held.Count > 0)
                {
                    LeaseInfo ended = held.Values.ElementAt(which % held.Count);
                    held.Remove(ended.PoolSlot!.Value);
                    f.Manager.End(ended.Id, EndReason.Operator, "");
                    f.Pump();
                    continue;
                }

                int? named = kind == 9 ? which : null;
                int? expected = named is { } n ? (held.ContainsKey(n) ? null : n) : Enumerable.Range(0, Slots).Cast<int?>().FirstOrDefault(s => !held.ContainsKey(s!.Value));
                if (expected is not { } slot)
                {
                    Assert.Equal(LeaseError.NoRoom, f.Refused(From("queues", named)).Error);
                    continue;
                }

                LeaseInfo lease = f.Active(From("queues", named));
                Assert.Equal((slot, Pages((ulong)slot * 4, 1), Pages(64 + ((ulong)slot * 8), 8)), (lease.PoolSlot, lease.Buffers[0].Ranges[0], lease.Buffers[1].Ranges[0]));
                held.Add(slot, lease);
                Assert.Equal(Slots - held.Count, f.Manager.Pools()[0].Devices[0].FreeSlots);
            }
        }, iter: 200);
    }
}
