// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Leases;
using BarBroker.Policy;
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
