// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;
using static BarBroker.Tests.Leases.LeaseFixture;

namespace BarBroker.Tests.Leases;

/// <summary>How leases end, one rule a test.</summary>
public sealed class LeaseEndTests
{
    private static readonly AcquireRequest FourPages = Explicit(Pages(0, 4));

    [Fact]
    public void End_Twice_FirstReasonWins()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(FourPages);

        f.Manager.End(lease.Id, EndReason.Operator, "by root");
        f.Manager.End(lease.Id, EndReason.Policy, "again");
        f.Manager.OwnerExited(lease.Owner);
        f.Pump();

        LeaseInfo ended = f.Get(lease.Id);
        Assert.Equal((LeaseState.Ended, EndReason.Operator, "by root"), (ended.State, ended.EndReason, ended.EndDetail));
        Assert.Null(ended.Remaining);
    }

    [Fact]
    public void Ticket_NotShownInTime_EndsTheLease()
    {
        using var f = new LeaseFixture();
        Grant grant = f.Acquire(FourPages);

        f.Pass(TimeSpan.FromSeconds(5));
        f.Manager.Renew(grant.Lease.Id, 1000, 1);
        f.Pass(TimeSpan.FromSeconds(5));
        f.Pump();

        Assert.Equal((LeaseState.Ended, EndReason.TicketExpired), (f.Get(grant.Lease.Id).State, f.Get(grant.Lease.Id).EndReason));
        Assert.Equal(LeaseError.NotFound, Assert.Throws<LeaseException>(() => f.Manager.Redeem(grant.Ticket.Span, 1000)).Error);
    }

    [Fact]
    public void Redeem_LeaseThatWasRevoked_SaysWhy()
    {
        using var f = new LeaseFixture();
        Grant grant = f.Acquire(FourPages);
        f.Manager.End(grant.Lease.Id, EndReason.Operator, "by root");

        LeaseException e = Assert.Throws<LeaseException>(() => f.Manager.Redeem(grant.Ticket.Span, 1000));

        Assert.Equal((LeaseError.Ended, EndReason.Operator, grant.Lease.Id), (e.Error, e.EndReason, e.LeaseId));
    }

    [Fact]
    public void HangLimit_HeartbeatsWithoutProgress_EndTheLease()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(FourPages with { HangLimit = TimeSpan.FromSeconds(5) });
        for (ulong second = 1; second <= 8; second++)
        {
            f.Pass(TimeSpan.FromSeconds(1));
            f.Manager.Renew(lease.Id, 1000, Math.Min(second, 3));
        }

        Assert.Equal((LeaseState.Revoking, EndReason.ClientHung), (f.Get(lease.Id).State, f.Get(lease.Id).EndReason));
    }

    [Fact]
    public void HangLimit_AnyChangeOfTheCounter_IsProgress()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(FourPages with { HangLimit = TimeSpan.FromSeconds(2) });
        for (ulong second = 100; second > 60; second--)
        {
            f.Pass(TimeSpan.FromSeconds(1));
            f.Manager.Renew(lease.Id, 1000, second);
        }

        Assert.Equal(LeaseState.Active, f.Get(lease.Id).State);
    }

    [Theory]
    [InlineData(0.1, 1)]
    [InlineData(7, 7)]
    [InlineData(1e7, 3600)]
    public void Ttl_OutOfBounds_IsClamped(double asked, double granted)
    {
        using var f = new LeaseFixture();

        Assert.Equal(TimeSpan.FromSeconds(granted), f.Acquire(FourPages with { Ttl = TimeSpan.FromSeconds(asked) }).Lease.Ttl);
    }

    [Fact]
    public void Recall_NotReleased_IsRevokedAtTheDeadlineAndNotBefore()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(FourPages);

        f.Manager.Recall(lease.Id, TimeSpan.FromSeconds(9), EndReason.Preempted, "for another");
        f.Manager.Recall(lease.Id, TimeSpan.FromSeconds(4), EndReason.Operator, "drain");
        LeaseInfo recalled = f.Manager.Recall(lease.Id, TimeSpan.FromSeconds(60), EndReason.Policy, "later");
        f.Pass(TimeSpan.FromSeconds(3.75));
        Assert.Equal((LeaseState.Recalled, TimeSpan.FromSeconds(4)), (recalled.State, recalled.RecallRemaining));
        Assert.Equal(LeaseState.Recalled, f.Get(lease.Id).State);
        Assert.Equal(TimeSpan.FromSeconds(0.25), f.Manager.Renew(lease.Id, 1000, 0).Remaining);

        f.Pass(TimeSpan.FromSeconds(0.25));

        LeaseInfo ended = f.Get(lease.Id);
        Assert.Equal((LeaseState.Revoking, EndReason.Operator, "drain"), (ended.State, ended.EndReason, ended.EndDetail));
    }

    [Fact]
    public void OwnerExit_ManyLeases_EndsItsOwnAndGrantsNothingAfter()
    {
        using var f = new LeaseFixture();
        LeaseOwner dead = Owner(), alive = Owner();
        LeaseInfo first = f.Active(Explicit(Pages(0, 1)), dead), second = f.Active(Explicit(Pages(1, 1)), dead), other = f.Active(Explicit(Pages(2, 1)), alive);

        f.Manager.OwnerExited(dead);
        f.Pump();

        Assert.Equal((EndReason.ClientExited, EndReason.ClientExited, EndReason.None), (f.Get(first.Id).EndReason, f.Get(second.Id).EndReason, f.Get(other.Id).EndReason));
        Assert.Equal(LeaseError.Denied, f.Refused(Explicit(Pages(9, 1)), dead).Error);
    }

    [Fact]
    public void Stall_LateSweep_GivesOneBoundedGrace()
    {
        using var f = new LeaseFixture();
        LeaseInfo renewed = f.Active(Explicit(Pages(0, 1))), silent = f.Active(Explicit(Pages(1, 1)));

        f.Time.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal(1, f.Manager.StallCount);
        Assert.Equal(LeaseState.Active, f.Manager.Renew(renewed.Id, 1000, 1).State);
        f.Pass(TimeSpan.FromSeconds(1.75));
        Assert.Equal(LeaseState.Active, f.Get(silent.Id).State);
        f.Pass(TimeSpan.FromSeconds(0.25));

        Assert.Equal((EndReason.Expired, EndReason.None), (f.Get(silent.Id).EndReason, f.Get(renewed.Id).EndReason));
        Assert.Equal(1, f.Manager.StallCount);
    }

    [Fact]
    public void Quota_LeasesAndBytes_CountUntilTheProof()
    {
        using var f = new LeaseFixture(new LeaseOptions { MaxLeasesPerUid = 2, MaxBytesPerUid = 8 * Page });
        LeaseInfo first = f.Active(Explicit(Pages(0, 6)));
        Assert.Equal(LeaseError.Quota, f.Refused(Explicit(Pages(8, 3))).Error);
        f.Active(Explicit(Pages(8, 1)));
        Assert.Equal(LeaseError.Quota, f.Refused(Explicit(Pages(9, 1))).Error);
        f.Acquire(Explicit(Pages(9, 1)), Owner(1001));

        f.Manager.End(first.Id, EndReason.Operator, "");
        Assert.Equal(LeaseError.Quota, f.Refused(Explicit(Pages(10, 1))).Error);
        f.Pump();

        f.Acquire(Explicit(Pages(10, 1)));
    }

    [Fact]
    public void RequestId_Again_GivesTheSameLeaseWithANewTicketUntilItWasFetched()
    {
        using var f = new LeaseFixture();
        LeaseOwner owner = Owner();
        AcquireRequest request = FourPages with { RequestId = "once" };
        Grant first = f.Acquire(request, owner), second = f.Acquire(request, owner);

        Assert.Equal(first.Lease.Id, second.Lease.Id);
        Assert.Throws<LeaseException>(() => f.Manager.Redeem(first.Ticket.Span, 1000));
        f.Manager.Redeem(second.Ticket.Span, 1000);
        Grant third = f.Acquire(request, owner);
        Assert.Equal((first.Lease.Id, 0), (third.Lease.Id, third.Ticket.Length));
        Assert.Equal(LeaseError.NoRoom, f.Refused(request, Owner(pid: 101)).Error);

        f.Manager.End(first.Lease.Id, EndReason.Operator, "");
        f.Pump();
        Assert.NotEqual(first.Lease.Id, f.Acquire(request, owner).Lease.Id);
    }

    [Fact]
    public void EndedLeases_MoreThanKept_OldestIsForgotten()
    {
        using var f = new LeaseFixture(new LeaseOptions { EndedLeasesKept = 2 });
        string[] ids = [.. Enumerable.Range(0, 3).Select(_ =>
        {
            string id = f.Active(FourPages).Id;
            f.Manager.End(id, EndReason.Operator, "");
            f.Pump();
            return id;
        })];

        Assert.Equal(LeaseError.NotFound, Assert.Throws<LeaseException>(() => f.Get(ids[0])).Error);
        Assert.Equal(ids[1..], f.Manager.List(LeaseFilter.All with { IncludeEnded = true }).Select(static l => l.Id));
        Assert.Equal(3, f.Manager.EndedCount);
    }

    [Fact]
    public void AnotherUid_KnowsTheId_GetsNothing()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(FourPages);

        Assert.Equal(default, f.Manager.Renew(lease.Id, 1001, 1));
        Assert.Equal(LeaseError.NotFound, Assert.Throws<LeaseException>(() => f.Manager.Get(lease.Id, 1001)).Error);
        Assert.Equal(LeaseError.NotFound, Assert.Throws<LeaseException>(() => { _ = f.Manager.ReleaseAsync(lease.Id, 1001, CancellationToken.None); }).Error);
        Assert.Equal(LeaseState.Active, f.Get(lease.Id).State);
    }

    [Theory]
    [InlineData(1UL, "ls-0001")]
    [InlineData(31UL, "ls-000z")]
    [InlineData(1UL << 20, "ls-10000")]
    [InlineData(ulong.MaxValue, "ls-fzzzzzzzzzzzz")]
    public void LeaseId_FromEpoch_IsReadable(ulong epoch, string id) => Assert.Equal(id, LeaseId.FromEpoch(epoch));

    [Fact]
    public void Renew_AnyHeartbeat_AllocatesNothing()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(FourPages with { HangLimit = TimeSpan.FromSeconds(5) });
        f.Manager.Renew(lease.Id, 1000, 0);

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (ulong i = 0; i < 1000; i++)
        {
            f.Manager.Renew(lease.Id, 1000, i);
            f.Manager.Renew("ls-none", 1000, i);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }
}
