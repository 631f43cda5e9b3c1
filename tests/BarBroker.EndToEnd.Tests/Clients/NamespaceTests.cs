// SPDX-License-Identifier: Apache-2.0

using BarBroker.EndToEnd.Tests.Support;
using BarBroker.V1;
using Mono.Unix.Native;

namespace BarBroker.EndToEnd.Tests.Clients;

/// <summary>Clients, or the broker, in namespaces of their own, as containers have them.</summary>
public sealed class NamespaceTests : ClientsTestBase
{
    private static readonly string[] OwnPids = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];

    [Fact]
    public async Task Client_InItsOwnPidNamespace_IsKnownByTheBrokersNumberAndWatched()
    {
        await StartAsync(OneDevice());
        var inside = await Processes.StartAsync("inside", [.. OwnPids, "setpriv", $"--reuid={Alice}", "--regid=nogroup", "--clear-groups"]);
        Assert.Equal(1, inside.OwnPid);

        var byTicket = await HoldAsync(inside, Pages(1));
        var byPacket = (await inside.ExchangeAsync(Broker.FdSocket, FdClient.Acquire(Pages(1), "a"))).Delivery.Lease;

        foreach (var lease in new[] { byTicket.Lease, byPacket })
        {
            Assert.Equal((Alice, inside.Pid, "lease_holder"), (lease.Owner.Uid, lease.Owner.Pid, lease.Owner.Comm));
        }

        await AssertEndsWithAsync(inside, byTicket.Lease, byPacket);
    }

    [Fact]
    public async Task Client_InAUserNamespace_IsWhoItIsOutside()
    {
        var (status, output) = Testing.NativeProgram.Run("setpriv", $"--reuid={Alice}", "--regid=nogroup", "--clear-groups", "unshare", "--user", "--map-root-user", "true");
        Assert.SkipUnless(status == 0, $"users other than root cannot make user namespaces here: {output}");
        await StartAsync(OneDevice().Rules($$"""{ "name": "alice", "match": { "uid": {{Alice}} }, "lease": {} }"""));
        var inside = await ProcessAsync("inside", Alice, "unshare", "--user", "--map-root-user");

        var lease = (await inside.ExchangeAsync(Broker.FdSocket, FdClient.Acquire(Pages(1), "a"))).Delivery.Lease;

        Assert.Equal((Alice, "alice", inside.Pid), (lease.Owner.Uid, lease.PolicyRule, lease.Owner.Pid));
        await AssertEndsWithAsync(inside, lease);
    }

    [Fact]
    public async Task Broker_InAPidNamespaceThatHasNoNumberForItsClients_TellsThemApartAndWatchesThem()
    {
        await StartAsync(OneDevice(), OwnPids);
        var first = await ProcessAsync("first", Alice);
        var second = await ProcessAsync("second", Alice);

        var lease = await HoldAsync(first, Pages(1));
        var other = await HoldAsync(second, Pages(1));

        Assert.Equal((0, 0), (lease.Lease.Owner.Pid, other.Lease.Owner.Pid));
        await AssertEndsWithAsync(first, lease.Lease);
        Assert.Equal(LeaseState.Active, (await LookAsync(other.Lease.Id)).State);
        await AssertEndsWithAsync(second, other.Lease);
    }

    /// <summary>A process has other numbers in the broker's pid namespace and in the /proc that the broker sees, or none in the one.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Broker_InAPidNamespaceWithTheProcOfAnother_KnowsWhatItsClientsRun(bool isInside)
    {
        string program = Directory.File("lease_holder");
        await StartAsync(OneDevice().Rules($$"""{ "name": "holder", "match": { "executable": "{{program}}" }, "lease": {} }"""), "unshare", "--pid", "--fork", "--kill-child");
        string[] launcher = isInside ? ["nsenter", "--pid", "--target", $"{Broker.Pid}"] : [];
        var client = await Processes.StartAsync("client", launcher);

        var lease = (await client.ExchangeAsync(Broker.FdSocket, FdClient.Acquire(Pages(1), "a"))).Delivery?.Lease;

        Assert.Equal(("holder", isInside ? client.OwnPid : 0, "lease_holder"), (lease?.PolicyRule, lease?.Owner.Pid, lease?.Owner.Comm));
        await AssertEndsWithAsync(client, lease!);
    }

    private async Task AssertEndsWithAsync(HolderProcess process, params Lease[] leases)
    {
        process.Signal(Signum.SIGKILL);
        foreach (var lease in leases)
        {
            Assert.Equal(EndReason.ClientExited, (await EndOfAsync(lease.Id)).EndReason);
        }

        Assert.Empty(Broker.Errors);
    }
}
