// SPDX-License-Identifier: Apache-2.0

using BarBroker.EndToEnd.Tests.Support;
using BarBroker.V1;
using Grpc.Core;
using Mono.Unix.Native;

namespace BarBroker.EndToEnd.Tests.Clients;

/// <summary>A lease belongs to the process that connected, through fork and exec, and whoever speaks over its connection.</summary>
public sealed class OwnershipTests : ClientsTestBase
{
    [Theory]
    [InlineData("keep")]
    [InlineData("drop")]
    [InlineData("thread")]
    public async Task Owner_BecomesAnotherProgram_LeaseLivesOnWithTheProcess(string how)
    {
        await StartAsync(OneDevice());
        var client = await ProcessAsync("client", Alice);
        var lease = (await client.ExchangeAsync(Broker.FdSocket, FdClient.Acquire(Pages(1), "a"))).Delivery.Lease;

        var after = await Processes.ExecAsync(client, "after", how);

        Assert.Equal(client.Pid, after.Pid);
        // The broker has seen to whatever execve() had closed before it answers here; and it is one client before and after.
        var next = (await after.ExchangeAsync(Broker.FdSocket, FdClient.Acquire(Pages(1), "b"))).Delivery.Lease;
        Assert.Equal(LeaseState.Active, (await LookAsync(lease.Id)).State);
        var again = (await after.ExchangeAsync(Broker.FdSocket, FdClient.Acquire(Pages(1), "a"))).Delivery;
        Assert.Equal((lease.Id, true), (again.Lease.Id, again.FetchedBefore));
        after.Signal(Signum.SIGKILL);
        Assert.Equal([EndReason.ClientExited, EndReason.ClientExited], [(await EndOfAsync(lease.Id)).EndReason, (await EndOfAsync(next.Id)).EndReason]);
        Assert.Empty(Broker.Errors);
    }

    [Fact]
    public async Task Child_UsesItsParentsConnection_LeaseIsTheParentsAndEndsWithIt()
    {
        await StartAsync(OneDevice());
        var parent = await ProcessAsync("parent", Alice);
        var first = (await parent.ExchangeAsync(Broker.FdSocket, FdClient.Acquire(Pages(1), "a"))).Delivery.Lease;
        var child = await Processes.ForkAsync(parent, "child", keepsChannel: true);

        // It would take the answer from the child.
        parent.Signal(Signum.SIGSTOP);
        var inherited = (await child.ExchangeAsync(Broker.FdSocket, FdClient.Acquire(Pages(1), "b"))).Delivery.Lease;
        var grandchild = await Processes.ForkAsync(child, "grandchild");
        var own = (await grandchild.ExchangeAsync(Broker.FdSocket, FdClient.Acquire(Pages(1), "b"))).Delivery.Lease;
        await child.AskAsync("map");

        Assert.Equal([parent.Pid, parent.Pid, grandchild.Pid], new[] { first, inherited, own }.Select(lease => lease.Owner.Pid));
        parent.Signal(Signum.SIGKILL);
        Assert.Equal(EndReason.ClientExited, (await EndOfAsync(inherited.Id)).EndReason);
        var probe = await child.ProbeAsync(4096);
        Assert.DoesNotContain("ACCESS", probe.Values);
        Assert.Equal(LeaseState.Active, (await LookAsync(own.Id)).State);

        // The connection is nobody's any more.
        var refused = await child.ExchangeAsync(Broker.FdSocket, FdClient.Acquire(Pages(1), "c"));
        Assert.Equal((uint)StatusCode.PermissionDenied, Assert.IsType<FdError>(refused.Error).Code);
        Assert.Empty(Broker.Errors);
    }

    [Fact]
    public async Task Connection_PassedOn_LeasesAreOfTheProcessThatConnected()
    {
        await StartAsync(OneDevice());
        var connected = await ProcessAsync("connected", Alice);
        using var rpc = RpcClient.Over(await connected.LendConnectionAsync(Broker.ClientSocket));
        using var files = new FdClient(await connected.LendConnectionAsync(Broker.FdSocket, isFdSocket: true));

        var byTicket = (await rpc.Leases.AcquireAsync(Pages(1), deadline: DateTime.UtcNow + Patience.Long)).Lease;
        var byPacket = (await files.AskAsync(FdClient.Acquire(Pages(1), "a")))!.Delivery.Lease;

        Assert.All([byTicket, byPacket], lease => Assert.Equal((Alice, connected.Pid), (lease.Owner.Uid, lease.Owner.Pid)));
        connected.Signal(Signum.SIGKILL);
        Assert.Equal([EndReason.ClientExited, EndReason.ClientExited], [(await EndOfAsync(byTicket.Id)).EndReason, (await EndOfAsync(byPacket.Id)).EndReason]);
        FdResponse? notice;
        do
        {
            notice = await files.ReceiveAsync();
        }
        while (notice?.Notice is { Lease.State: not LeaseState.Ended });
        Assert.Equal(byPacket.Id, notice?.Notice?.Lease.Id);
        Assert.Equal((uint)StatusCode.PermissionDenied, (await files.AskAsync(FdClient.Acquire(Pages(1), "b")))?.Error?.Code);
        Assert.Equal(StatusCode.PermissionDenied, (await Assert.ThrowsAsync<RpcException>(async () => await rpc.Leases.AcquireAsync(Pages(1), deadline: DateTime.UtcNow + Patience.Long))).StatusCode);
        Assert.Empty(await LeasesAsync());
        Assert.Empty(Broker.Errors);
    }
}
