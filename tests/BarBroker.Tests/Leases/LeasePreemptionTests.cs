// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Leases;
using BarBroker.Policy;
using CsCheck;
using static BarBroker.Tests.Leases.LeaseFixture;
using static BarBroker.Tests.Leases.LeaseWaitTests;

namespace BarBroker.Tests.Leases;

public sealed class LeasePreemptionTests
{
    private const uint Boss = 1;

    [Fact]
    public void Preempt_LowerPriority_RecalledWithItsGraceAndRevokedAtTheDeadline()
    {
        using var f = Fixture();
        LeaseInfo victim = f.Active(Explicit(Pages(0, 4)));
        Task<Grant> boss = Begin(f, Explicit(Pages(1, 1)) with { Priority = 5 }, Owner(Boss));

        Assert.Equal((LeaseState.Recalled, TimeSpan.FromSeconds(10)), (f.Get(victim.Id).State, f.Get(victim.Id).RecallRemaining));
        f.Pass(TimeSpan.FromSeconds(9.9));
        Assert.False(boss.IsCompleted);
        f.Pass(TimeSpan.FromSeconds(0.1));
        f.Pump();

        Assert.Equal((EndReason.Preempted, "uid 1 needs the range, with priority 5"), (f.Get(victim.Id).EndReason, f.Get(victim.Id).EndDetail));
        Assert.Equal(Boss, Wait(boss).Lease.Owner.Uid);
    }

    [Fact]
    public void Preempt_VictimReleasesEarly_GrantedThen()
    {
        using var f = Fixture();
        LeaseInfo victim = f.Active(Explicit(Pages(0, 4)));
        Task<Grant> boss = Begin(f, Explicit(Pages(1, 1)) with { Priority = 5 }, Owner(Boss));

        _ = f.Manager.ReleaseAsync(victim.Id, 1000, CancellationToken.None);
        f.Pump();

        Assert.Equal(EndReason.Released, f.Get(victim.Id).EndReason);
        Assert.Equal(Boss, Wait(boss).Lease.Owner.Uid);
    }

    [Fact]
    public void Preempt_WithoutTheRight_OnlyWaits()
    {
        using var f = Fixture();
        LeaseInfo holder = f.Active(Explicit(Pages(0, 4)));

        Begin(f, Explicit(Pages(0, 1)) with { Priority = 5 }, Owner(1001));

        Assert.Equal(LeaseState.Active, f.Get(holder.Id).State);
    }

    [Fact]
    public void Preempt_WithoutWaiting_Refused()
    {
        using var f = Fixture();
        LeaseInfo holder = f.Active(Explicit(Pages(0, 4)));

        Assert.Equal(LeaseError.NoRoom, f.Refused(Explicit(Pages(0, 1)) with { Priority = 5 }, Owner(Boss)).Error);
        Assert.Equal(LeaseState.Active, f.Get(holder.Id).State);
    }

    [Fact]
    public void Preempt_GraceLongerThanTheWait_RecallsNobodyForNothing()
    {
        using var f = Fixture();
        LeaseInfo holder = f.Active(Explicit(Pages(0, 4)));

        Begin(f, Explicit(Pages(0, 1)) with { Priority = 5, Wait = TimeSpan.FromSeconds(9) }, Owner(Boss));

        Assert.Equal(LeaseState.Active, f.Get(holder.Id).State);
    }

    [Fact]
    public void Preempt_SomebodyOfEqualPriorityInThePlace_IsNotTouchedNorAreOthersThere()
    {
        using var f = Fixture();
        LeaseInfo low = f.Active(Explicit(Pages(0, 1)));
        LeaseInfo equal = f.Active(Explicit(Pages(1, 1)) with { Priority = 5 });

        Begin(f, Explicit(Pages(0, 2)) with { Priority = 5 }, Owner(Boss));

        Assert.Equal((LeaseState.Active, LeaseState.Active), (f.Get(low.Id).State, f.Get(equal.Id).State));
    }

    [Fact]
    public void Preempt_EqualPriorityGoes_ThenTheRestIsRecalled()
    {
        using var f = Fixture();
        LeaseInfo low = f.Active(Explicit(Pages(0, 1)));
        LeaseInfo equal = f.Active(Explicit(Pages(1, 1)) with { Priority = 5 });
        Begin(f, Explicit(Pages(0, 2)) with { Priority = 5 }, Owner(Boss));

        f.Manager.End(equal.Id, EndReason.Operator, "");
        f.Pump();

        Assert.Equal(LeaseState.Recalled, f.Get(low.Id).State);
    }

    [Fact]
    public void Preempt_AnySize_FewestVictimsThenTheYoungest()
    {
        using var f = Fixture(8);
        LeaseInfo[] held = [f.Active(Explicit(Pages(0, 1))), f.Active(Explicit(Pages(1, 1))), f.Active(Explicit(Pages(2, 2))), f.Active(Explicit(Pages(4, 2))), f.Active(Explicit(Pages(6, 2)))];

        Begin(f, Sized(2 * Page) with { Priority = 5 }, Owner(Boss));
        Assert.Equal([held[4].Id], Recalled(f));
        Begin(f, Sized(2 * Page) with { Priority = 5 }, Owner(Boss));
        Assert.Equal([held[3].Id, held[4].Id], Recalled(f));
    }

    [Fact]
    public void Preempt_VictimGetsStuck_AnotherIsRecalled()
    {
        using var f = Fixture(4);
        LeaseInfo left = f.Active(Explicit(Pages(0, 2)));
        LeaseInfo right = f.Active(Explicit(Pages(2, 2)));
        Task<Grant> boss = Begin(f, Sized(2 * Page) with { Priority = 5 }, Owner(Boss));
        Assert.Equal([right.Id], Recalled(f));

        f.Device.FailRevoke = true;
        f.Manager.End(right.Id, EndReason.Operator, "");
        f.Pump();

        Assert.Equal([left.Id], Recalled(f));
        f.Device.FailRevoke = false;
        _ = f.Manager.ReleaseAsync(left.Id, 1000, CancellationToken.None);
        f.Pump();
        Assert.Equal(Pages(0, 2), Wait(boss).Lease.Buffers[0].Ranges[0]);
    }

    [Fact]
    public void Preempt_DeviceRevokedAsAWhole_OnlyIfAllAreLower()
    {
        using var f = new LeaseFixture(Options(), new FakeDevice("dev0", RevocationDomain.Device));
        LeaseInfo low = f.Active(Explicit(Pages(0, 1)));
        LeaseInfo high = f.Active(Explicit(Pages(8, 1)) with { Priority = 9 });
        Begin(f, Explicit(Pages(0, 1)) with { Priority = 5 }, Owner(Boss));
        Assert.Empty(Recalled(f));

        Begin(f, Explicit(Pages(8, 1)) with { Priority = 10 }, Owner(Boss));
        Assert.Equal([low.Id, high.Id], Recalled(f));
    }

    [Fact]
    public void Preempt_NoGrace_EndsAtOnce()
    {
        using var f = Fixture(16, TimeSpan.Zero);
        LeaseInfo victim = f.Active(Explicit(Pages(0, 16)));
        Task<Grant> boss = Begin(f, Sized(2 * Page) with { Priority = 5 }, Owner(Boss));

        Assert.Equal(EndReason.Preempted, f.Get(victim.Id).EndReason);
        Assert.Equal(Boss, Wait(boss).Lease.Owner.Uid);
    }

    /// <summary>Against trying every window of a small BAR: as few victims as can be, all lower, and none where there is no window of lower ones.</summary>
    [Fact]
    public void Preempt_RandomLeases_TakesAsFewAsAnyWindowWould()
    {
        const int PageCount = 12;
        Gen.Select(Gen.Select(Gen.Int[0, PageCount - 1], Gen.Int[1, 3], Gen.Int[0, 5]).Array[0, 10], Gen.Int[1, 5]).Sample((held, size) =>
        {
            using var f = Fixture(PageCount);
            var leases = new List<(ulong Start, ulong End, LeaseInfo Lease)>();
            foreach (var (start, length, priority) in held)
            {
                ulong end = Math.Min((ulong)(start + length), PageCount);
                if (leases.TrueForAll(l => l.End <= (ulong)start || end <= l.Start))
                    leases.Add(((ulong)start, end, f.Active(Explicit(Pages((ulong)start, end - (ulong)start)) with { Priority = priority })));
            }

            int? fewest = null;
            bool isFree = false;
            for (ulong start = 0; start + (ulong)size <= PageCount; start++)
            {
                LeaseInfo[] there = [.. leases.Where(l => l.Start < start + (ulong)size && start < l.End).Select(static l => l.Lease)];
                isFree |= there.Length == 0;
                if (Array.TrueForAll(there, static l => l.Priority < 3))
                    fewest = Math.Min(fewest ?? int.MaxValue, there.Length);
            }

            Task<Grant> boss = Begin(f, Sized((ulong)size * Page) with { Priority = 3 }, Owner(Boss));
            LeaseInfo[] victims = [.. f.Manager.List(LeaseFilter.All with { States = [LeaseState.Recalled] })];
            Assert.Equal(isFree ? 0 : fewest ?? 0, victims.Length);
            Assert.All(victims, static l => Assert.True(l.Priority < 3, "a victim that is not lower"));
            // Looking again recalls nobody more, and when the victims are gone there is room.
            f.Manager.Cordon("dev0", "");
            f.Manager.Uncordon("dev0");
            Assert.Equal(victims.Length, f.Manager.List(LeaseFilter.All with { States = [LeaseState.Recalled] }).Length);
            foreach (LeaseInfo victim in victims)
                f.Manager.End(victim.Id, EndReason.Released, "");
            f.Pump();
            Assert.Equal(isFree || fewest is not null, boss.IsCompleted || f.Manager.Waiting(LeaseFilter.All).IsEmpty);
        }, iter: 300);
    }

    private static string[] Recalled(LeaseFixture f) =>
        [.. f.Manager.List(LeaseFilter.All with { States = [LeaseState.Recalled] }).Select(static l => l.Id)];

    private static LeaseOptions Options(TimeSpan? grace = null) => new()
    {
        Rules =
        [
            new PolicyRule("boss", PolicyMatch.Everybody with { Users = [new NamedId(Boss, "")] }, Lease: new LeaseRule { MaxPriority = 10, MayPreempt = true, RecallGrace = grace ?? TimeSpan.FromSeconds(10) }),
            new PolicyRule("rest", PolicyMatch.Everybody, Lease: new LeaseRule { MaxPriority = 10, RecallGrace = grace ?? TimeSpan.FromSeconds(10) }),
        ],
    };

    private static LeaseFixture Fixture(ulong pages = 16, TimeSpan? grace = null) => new(Options(grace), new FakeDevice("dev0", barSize: pages * Page));
}
