// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;
using static BarBroker.Tests.Leases.LeaseFixture;

namespace BarBroker.Tests.Leases;

public sealed class LeaseLifeTests
{
    [Fact]
    public void Acquire_FreeRange_GrantsExactlyIt()
    {
        using var f = new LeaseFixture();

        Grant grant = f.Acquire(Explicit(Pages(8, 2), Pages(2, 1)));

        Assert.Equal(LeaseState.Granted, grant.Lease.State);
        Assert.Equal(16, grant.Ticket.Length);
        Assert.Equal(TimeSpan.FromSeconds(10), grant.TicketTtl);
        LeaseBuffer buffer = Assert.Single(grant.Lease.Buffers);
        Assert.Equal([Pages(8, 2), Pages(2, 1)], buffer.Ranges);
        Assert.Equal(3 * Page, buffer.Size);
        Assert.Equal([Pages(8, 2), Pages(2, 1)], Assert.Single(f.Device.Accessible).Ranges);
    }

    [Fact]
    public void Acquire_TakenRange_NamesTheLeaseInTheWay()
    {
        using var f = new LeaseFixture();
        LeaseInfo first = f.Active(Explicit(Pages(0, 4)));

        LeaseException e = f.Refused(Explicit(Pages(3, 2)), Owner(1001));

        Assert.Equal(LeaseError.NoRoom, e.Error);
        Assert.Equal(first.Id, e.LeaseId);
        Assert.Equal($"range [0x3000, +0x2000) of BAR 0 of dev0 is held by lease {first.Id}", e.Message);
    }

    [Fact]
    public void Redeem_Ticket_WorksOnceAndOnlyForItsUid()
    {
        using var f = new LeaseFixture();
        Grant grant = f.Acquire(Explicit(Pages(0, 1)));

        Assert.Equal(LeaseError.NotFound, Assert.Throws<LeaseException>(() => f.Manager.Redeem(grant.Ticket.Span, 1)).Error);
        Redemption redemption = f.Manager.Redeem(grant.Ticket.Span, 1000);
        Assert.Equal(LeaseError.NotFound, Assert.Throws<LeaseException>(() => f.Manager.Redeem(grant.Ticket.Span, 1000)).Error);

        Assert.Equal(LeaseState.Active, redemption.Lease.State);
        Assert.Same(f.Device.Accessible[0], Assert.Single(redemption.Buffers));
    }

    [Fact]
    public void Release_ActiveLease_IsFreeOnlyAfterTheProof()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(Explicit(Pages(0, 4)));

        Task<LeaseInfo> release = f.Manager.ReleaseAsync(lease.Id, 1000, CancellationToken.None);

        Assert.Equal(LeaseState.Revoking, f.Get(lease.Id).State);
        Assert.Equal(4 * Page, f.Manager.Device("dev0").Bars[0].Quarantined);
        Assert.Equal(LeaseError.NoRoom, f.Refused(Explicit(Pages(0, 1)), Owner()).Error);

        Assert.Equal(LeaseState.Ended, Wait(release).State);
        Assert.Empty(f.Device.Accessible);
        Assert.Equal(f.Device.BarSize, f.Manager.Device("dev0").Bars[0].Free);
        Assert.Equal(
            [LeaseState.Granted, LeaseState.Active, LeaseState.Revoking, LeaseState.Ended],
            f.Told.Where(l => l.Id == lease.Id).Select(static l => l.State));
    }

    [Fact]
    public void Renew_LiveLease_MovesTheDeadline()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(Explicit(Pages(0, 4)));
        for (int i = 0; i < 4; i++)
        {
            f.Pass(TimeSpan.FromSeconds(20));
            Assert.Equal(new Renewal(TimeSpan.FromSeconds(30), LeaseState.Active, EndReason.None), f.Manager.Renew(lease.Id, 1000, 0));
        }

        f.Pass(TimeSpan.FromSeconds(29.9));
        Assert.Equal(LeaseState.Active, f.Get(lease.Id).State);
        f.Pass(TimeSpan.FromSeconds(0.1));

        Assert.Equal(EndReason.Expired, f.Get(lease.Id).EndReason);
        Assert.Equal(new Renewal(TimeSpan.Zero, LeaseState.Revoking, EndReason.Expired), f.Manager.Renew(lease.Id, 1000, 0));
    }
}
