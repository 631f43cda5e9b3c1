// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;
using BarBroker.Policy;
using static BarBroker.Tests.Leases.LeaseFixture;

namespace BarBroker.Tests.Leases;

/// <summary>What the policy's terms do to leases: quotas, rates, and ends that no renewal moves.</summary>
public sealed class LeasePolicyLifeTests
{
    [Fact]
    public void MaxLifetime_LeaseIsRenewed_EndsAllTheSame()
    {
        using var f = Fixture(new LeaseRule { MaxLifetime = TimeSpan.FromSeconds(70) });
        LeaseInfo lease = f.Active(Explicit(Pages(0, 1)));
        Assert.Equal((TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(70), "r"), (lease.Remaining, lease.LifetimeRemaining, lease.PolicyRule));
        for (int i = 0; i < 3; i++)
        {
            f.Pass(TimeSpan.FromSeconds(20));
            f.Manager.Renew(lease.Id, 1000, 0);
        }

        Assert.Equal(new Renewal(TimeSpan.FromSeconds(10), LeaseState.Active, EndReason.None), f.Manager.Renew(lease.Id, 1000, 0));
        Assert.Equal(TimeSpan.FromSeconds(10), f.Get(lease.Id).Remaining);
        f.Pass(TimeSpan.FromSeconds(9.9));
        Assert.Equal(LeaseState.Active, f.Get(lease.Id).State);
        f.Pass(TimeSpan.FromSeconds(0.1));

        LeaseInfo ended = f.Get(lease.Id);
        Assert.Equal((EndReason.Policy, "policy rule r: its maximum lifetime of 70 s is over"), (ended.EndReason, ended.EndDetail));
        Assert.Null(ended.LifetimeRemaining);
    }

    [Fact]
    public void MaxLifetime_WithRecallGrace_IsAnnounced()
    {
        using var f = Fixture(new LeaseRule { MaxLifetime = TimeSpan.FromSeconds(20), RecallGrace = TimeSpan.FromSeconds(5) });
        LeaseInfo lease = f.Active(Explicit(Pages(0, 1)));

        f.Pass(TimeSpan.FromSeconds(14.9));
        Assert.Equal(LeaseState.Active, f.Get(lease.Id).State);
        f.Pass(TimeSpan.FromSeconds(0.1));
        Assert.Equal((LeaseState.Recalled, TimeSpan.FromSeconds(5)), (f.Get(lease.Id).State, f.Get(lease.Id).RecallRemaining));
        f.Pass(TimeSpan.FromSeconds(5));

        Assert.Equal(EndReason.Policy, f.Get(lease.Id).EndReason);
        Assert.Equal([LeaseState.Granted, LeaseState.Active, LeaseState.Recalled, LeaseState.Revoking], f.Told.Where(l => l.Id == lease.Id).Select(static l => l.State));
    }

    [Fact]
    public void MaxLifetime_BrokerStalled_NoGrace()
    {
        using var f = Fixture(new LeaseRule { MaxLifetime = TimeSpan.FromSeconds(20), RecallGrace = TimeSpan.FromSeconds(5) });
        LeaseInfo lease = f.Active(Explicit(Pages(0, 1)));

        f.Time.Advance(TimeSpan.FromSeconds(20));

        Assert.Equal((EndReason.Policy, 1), (f.Get(lease.Id).EndReason, f.Manager.StallCount));
    }

    [Fact]
    public void MaxLifetime_RecalledEarlierByOperator_TheEarlierEndHolds()
    {
        using var f = Fixture(new LeaseRule { MaxLifetime = TimeSpan.FromSeconds(20), RecallGrace = TimeSpan.FromSeconds(19) });
        LeaseInfo lease = f.Active(Explicit(Pages(0, 1)));
        f.Manager.Recall(lease.Id, TimeSpan.FromSeconds(4), EndReason.Operator, "drain");

        f.Pass(TimeSpan.FromSeconds(4));

        Assert.Equal((EndReason.Operator, "drain"), (f.Get(lease.Id).EndReason, f.Get(lease.Id).EndDetail));
    }

    [Fact]
    public void Quota_SeveralProcessesOfOneUid_AreCountedTogether()
    {
        using var f = Fixture(new LeaseRule { MaxLeases = 3, MaxBytes = 8 * Page });
        f.Acquire(Sized(Page), Owner(1000, 1));
        f.Acquire(Sized(Page), Owner(1000, 2));

        LeaseException bytes = f.Refused(Sized(7 * Page), Owner(1000, 3));
        f.Acquire(Sized(Page), Owner(1000, 3));
        LeaseException count = f.Refused(Sized(Page), Owner(1000, 4));

        Assert.Equal((LeaseError.Quota, LeaseError.Quota), (bytes.Error, count.Error));
        Assert.Equal("policy rule r: uid 1000 has 8 KiB in leases; another 0x7000 bytes would pass its quota of 32 KiB; release some first", bytes.Message);
        Assert.Equal("policy rule r: uid 1000 has 3 leases, and 3 is its quota; release some first", count.Message);
        f.Acquire(Sized(Page), Owner(1001, 5));
    }

    [Fact]
    public void Rate_Exceeded_RefusedUntilTheTimeItTells()
    {
        using var f = Fixture(new LeaseRule { Rate = new AcquireRate(10, 3) });
        for (int i = 0; i < 3; i++)
            f.Acquire(Sized(Page), Owner(1000, i));

        LeaseException refusal = f.Refused(Sized(Page), Owner(1000, 9));
        f.Acquire(Sized(Page), Owner(1001));

        Assert.Equal((LeaseError.Rate, "policy rule r: uid 1000 may acquire 10 times a second, 3 at once; try again in 100 ms"), (refusal.Error, refusal.Message));
        f.Time.Advance(TimeSpan.FromMilliseconds(99));
        Assert.Contains("in 1 ms", f.Refused(Sized(Page)).Message, StringComparison.Ordinal);
        f.Time.Advance(TimeSpan.FromMilliseconds(1));
        f.Acquire(Sized(Page));
        f.Refused(Sized(Page));
        f.Time.Advance(TimeSpan.FromHours(1));
        for (int i = 0; i < 3; i++)
            f.Acquire(Sized(Page));
        f.Refused(Sized(Page));
    }

    [Fact]
    public void Rate_ReleasingEverything_DoesNotBringItBack()
    {
        using var f = Fixture(new LeaseRule { Rate = new AcquireRate(1, 1) });
        Grant grant = f.Acquire(Sized(Page));
        _ = f.Manager.ReleaseAsync(grant.Lease.Id, 1000, CancellationToken.None);
        f.Pump();

        Assert.Equal(LeaseError.Rate, f.Refused(Sized(Page)).Error);
    }

    [Fact]
    public void AnyDevice_SomeAllowed_OnlyThoseAreTaken()
    {
        using var f = Fixture(new LeaseRule { Devices = ["*1"] }, new FakeDevice("dev0"), new FakeDevice("dev1"));

        Assert.Equal("dev1", f.Acquire(Sized(Page) with { Device = "" }).Lease.Device);
        Assert.Equal(LeaseError.Denied, f.Refused(Sized(Page)).Error);
    }

    [Fact]
    public void AnyDevice_NoneAllowed_Denied()
    {
        using var f = Fixture(new LeaseRule { Devices = ["other"] });

        Assert.Equal((LeaseError.Denied, "device"), (f.Refused(Sized(Page) with { Device = "" }).Error, f.Refused(Sized(Page) with { Device = "" }).Field));
    }

    [Fact]
    public void HangLimit_RequiredByPolicy_EndsALeaseThatAskedForNone()
    {
        using var f = Fixture(new LeaseRule { MaxHangLimit = TimeSpan.FromSeconds(5) });
        LeaseInfo lease = f.Active(Sized(Page));
        f.Manager.Renew(lease.Id, 1000, 1);
        f.Pass(TimeSpan.FromSeconds(3));
        f.Manager.Renew(lease.Id, 1000, 1);

        f.Pass(TimeSpan.FromSeconds(2));

        Assert.Equal(EndReason.ClientHung, f.Get(lease.Id).EndReason);
    }

    private static LeaseFixture Fixture(LeaseRule rule, params FakeDevice[] devices) =>
        new(new LeaseOptions { Rules = [new PolicyRule("r", PolicyMatch.Everybody, Lease: rule)] }, devices);
}
