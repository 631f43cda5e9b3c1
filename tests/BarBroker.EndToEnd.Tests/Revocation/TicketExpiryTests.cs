// SPDX-License-Identifier: Apache-2.0

using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Testing;
using BarBroker.V1;
using Grpc.Core;

namespace BarBroker.EndToEnd.Tests.Revocation;

/// <summary>A lease that ends before its fds were fetched: nobody holds them, and nobody gets them.</summary>
public sealed class TicketExpiryTests : TestBase
{
    [Fact]
    public async Task Ticket_NotShownInTime_GivesNothingAndFreesTheRange()
    {
        var directory = Own(new TestDirectory());
        string configuration = new BrokerConfiguration().Device("sim0", "4MiB").Set("leases", "ticketTtl", "500ms").Write(directory.Path);
        var broker = Own(await Daemon.StartAsync(directory.Path, configuration));
        using var client = RpcClient.Dial(broker.ClientSocket);
        var granted = await client.Leases.AcquireAsync(Scene.Wanted(), cancellationToken: Cancellation);
        var lease = granted.Lease;

        await Wait.Until(
            async () => (lease = (await client.Leases.GetLeaseAsync(new GetLeaseRequest { LeaseId = lease.Id })).Lease).State == LeaseState.Ended,
            "the lease whose ticket is not shown ends",
            Patience.Long);

        Assert.Equal(EndReason.TicketExpired, lease.EndReason);
        var refusal = await FdClient.RedeemAsync(broker.FdSocket, granted.Ticket);
        Assert.Contains(refusal.Error?.Code, new uint?[] { (uint)StatusCode.NotFound, (uint)StatusCode.FailedPrecondition });
        Assert.NotEmpty((await client.Leases.AcquireAsync(Scene.Wanted(), cancellationToken: Cancellation)).Ticket);
        Assert.Empty(broker.Errors);
    }
}
