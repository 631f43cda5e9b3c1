// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;
using BarBroker.Policy;
using static BarBroker.Tests.Leases.LeaseFixture;

namespace BarBroker.Tests.Leases;

/// <summary>The machine sleeps: boottime goes on, timers stand still. No test here has a wall clock (see <see cref="VirtualTime"/>).</summary>
public sealed class LeaseSuspendTests
{
    private static readonly TimeSpan Night = TimeSpan.FromHours(8);

    [Fact]
    public void Suspend_HeartbeatsThatWaited_AreHonoured()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(Sized(Page) with { Ttl = TimeSpan.FromSeconds(10) });

        f.Time.Suspend(Night);
        // Read before the sweep, which comes when its timer has run for the rest of its second.
        Assert.Equal(TimeSpan.FromSeconds(10), f.Manager.Renew(lease.Id, 1000, 1).Remaining);
        f.Pass(TimeSpan.FromSeconds(9));

        Assert.Equal((LeaseState.Active, 1), (f.Get(lease.Id).State, f.Manager.StallCount));
    }

    [Fact]
    public void Suspend_NoHeartbeatAfterIt_OneBoundedGraceThenExpired()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(Sized(Page) with { Ttl = TimeSpan.FromSeconds(10) });

        f.Time.Suspend(Night);
        f.Pass(TimeSpan.FromSeconds(1));
        Assert.Equal((LeaseState.Active, 1), (f.Get(lease.Id).State, f.Manager.StallCount));
        f.Pass(LeaseBook.StallGrace);

        Assert.Equal((EndReason.Expired, 1), (f.Get(lease.Id).EndReason, f.Manager.StallCount));
    }

    [Fact]
    public void Suspend_ShortTtl_GraceIsNoLongerThanTheTtl()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(Sized(Page) with { Ttl = TimeSpan.FromSeconds(1) });

        f.Time.Suspend(Night);
        f.Pass(TimeSpan.FromSeconds(2));

        Assert.Equal(EndReason.Expired, f.Get(lease.Id).EndReason);
    }

    [Fact]
    public void Suspend_HangLimitPassed_SameGraceThenHung()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(Sized(Page) with { Ttl = TimeSpan.FromHours(1), HangLimit = TimeSpan.FromSeconds(10) });

        f.Time.Suspend(TimeSpan.FromMinutes(30));
        f.Pass(TimeSpan.FromSeconds(1));
        Assert.Equal(LeaseState.Active, f.Get(lease.Id).State);
        f.Manager.Renew(lease.Id, 1000, 0);
        f.Pass(LeaseBook.StallGrace);

        Assert.Equal(EndReason.ClientHung, f.Get(lease.Id).EndReason);
    }

    [Fact]
    public void Suspend_Twice_EachHasItsGrace()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(Sized(Page) with { Ttl = TimeSpan.FromSeconds(10) });

        for (int i = 1; i <= 2; i++)
        {
            f.Time.Suspend(Night);
            f.Pass(TimeSpan.FromSeconds(1));
            Assert.Equal((TimeSpan.FromSeconds(10), i), (f.Manager.Renew(lease.Id, 1000, (ulong)i).Remaining, f.Manager.StallCount));
        }

        f.Pass(TimeSpan.FromSeconds(10));
        Assert.Equal(EndReason.Expired, f.Get(lease.Id).EndReason);
    }

    [Theory]
    [InlineData(0.9, 1)]
    [InlineData(3600, 1)]
    public void Suspend_RecallDeadlinePassed_RevokedAtTheFirstSweepWithoutGrace(double seconds, int timer)
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(Sized(Page) with { Ttl = TimeSpan.FromHours(1) });
        f.Manager.Recall(lease.Id, TimeSpan.FromSeconds(seconds), EndReason.Operator, "drain");

        f.Time.Suspend(Night);
        Assert.Equal(TimeSpan.Zero, f.Manager.Renew(lease.Id, 1000, 1).Remaining);
        f.Pass(TimeSpan.FromSeconds(timer));

        Assert.Equal((EndReason.Operator, "drain"), (f.Get(lease.Id).EndReason, f.Get(lease.Id).EndDetail));
    }

    [Fact]
    public void Suspend_TicketMaximumLifetimeAndWait_CountTheSleep()
    {
        var options = new LeaseOptions { Rules = [new PolicyRule("r", PolicyMatch.Everybody, Lease: new LeaseRule { MaxLifetime = TimeSpan.FromHours(2) })] };
        using var f = new LeaseFixture(options);
        LeaseInfo living = f.Active(Explicit(Pages(0, 1)) with { Ttl = TimeSpan.FromHours(1) });
        Grant unfetched = f.Acquire(Explicit(Pages(1, 1)) with { Ttl = TimeSpan.FromHours(1) });
        Task<Grant> waiting = LeaseWaitTests.Begin(f, Explicit(Pages(0, 1)) with { Wait = TimeSpan.FromHours(1) });

        f.Time.Suspend(TimeSpan.FromHours(3));
        Assert.Equal(LeaseError.NotFound, Assert.Throws<LeaseException>(() => f.Manager.Redeem(unfetched.Ticket.Span, 1000)).Error);
        f.Pass(TimeSpan.FromSeconds(1));

        Assert.Equal((EndReason.Policy, EndReason.TicketExpired), (f.Get(living.Id).EndReason, f.Get(unfetched.Lease.Id).EndReason));
        Assert.StartsWith("waited for 3600 s", LeaseWaitTests.Refusal(waiting).Message, StringComparison.Ordinal);
    }

    /// <summary>A sleep that the sweep catches up with in time is no stall, and moves nothing.</summary>
    [Fact]
    public void Suspend_Short_NoGrace()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(Sized(Page) with { Ttl = TimeSpan.FromSeconds(3) });

        f.Pass(TimeSpan.FromSeconds(2));
        f.Time.Suspend(TimeSpan.FromSeconds(0.5));
        f.Pass(TimeSpan.FromSeconds(1));

        Assert.Equal((EndReason.Expired, 0), (f.Get(lease.Id).EndReason, f.Manager.StallCount));
    }
}
