// SPDX-License-Identifier: Apache-2.0

using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Testing;
using BarBroker.V1;
using Grpc.Core;

namespace BarBroker.EndToEnd.Tests.Revocation;

/// <summary>What holds after the broker was killed, on a device that the kernel does not revoke by itself.</summary>
public sealed class BrokerKilledTests : TestBase
{
    [Fact]
    public void LeaseEnds_BrokerKilled_NobodyHasAccess() => Assert.Skip(
        "A simulated device is the broker's own memory: when the broker is killed nobody is left to truncate it, and the mappings stay. "
        + "With VFIO the kernel revokes when the last device fd closes; the lab shows that on real devices (tests/vm).");

    [Fact]
    public async Task Start_AfterTheBrokerWasKilled_KnowsNoLeaseAndNoTicketOfBefore()
    {
        var directory = Own(new TestDirectory());
        var hub = Own(new HolderProcesses(directory.Path));
        string configuration = new BrokerConfiguration().Device("sim0", "4MiB").Write(directory.Path);
        var killed = Own(await Daemon.StartAsync(directory.Path, configuration));
        var before = Own(await LeaseHolder.HoldAsync(killed, await hub.StartAsync("before"), Scene.Wanted()));
        var unfetched = Own(await LeaseHolder.AcquireAsync(killed, await hub.StartAsync("unfetched"), new AcquireRequest { Buffers = { new BufferRequest { Size = 4096 } } }));
        killed.Kill();

        // In the same place, with the state, the lock file and the sockets that were left behind.
        var broker = Own(await Daemon.StartAsync(directory.Path, configuration));

        using var client = RpcClient.Dial(broker.ClientSocket);
        var all = await client.Leases.ListLeasesAsync(new ListLeasesRequest { IncludeEnded = true });
        Assert.Empty(all.Leases);
        var unknown = await Assert.ThrowsAsync<RpcException>(async () => await client.Leases.GetLeaseAsync(new GetLeaseRequest { LeaseId = before.Lease.Id }));
        Assert.Equal(StatusCode.NotFound, unknown.StatusCode);
        var next = Own(await LeaseHolder.HoldAsync(broker, await hub.StartAsync("next"), Scene.Wanted()));
        Assert.True(next.Lease.Epoch > unfetched.Lease.Epoch, "the fencing token grows across the restart");
        Assert.DoesNotContain(next.Lease.Id, new[] { before.Lease.Id, unfetched.Lease.Id });
        var refusal = await FdClient.RedeemAsync(broker.FdSocket, unfetched.Ticket);
        Assert.Equal((uint)StatusCode.NotFound, refusal.Error?.Code);
        Assert.Empty(broker.Errors);
    }
}
