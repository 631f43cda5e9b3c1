// SPDX-License-Identifier: Apache-2.0

using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Testing;
using BarBroker.V1;
using Mono.Unix.Native;

namespace BarBroker.EndToEnd.Tests.Clients;

/// <summary>One user with more processes than it has leases and connections.</summary>
public sealed class SwarmTests : ClientsTestBase
{
    private const int Children = 200;
    private const int Quota = 10;
    private const int Connections = 24;

    [Fact]
    public async Task ForkBomb_OfOneUser_GetsItsQuotaAndOthersGoOn()
    {
        await StartAsync(OneDevice()
            .Set("limits", "connectionsPerUid", Connections)
            .Rules($$"""{ "name": "alice", "match": { "uid": {{Alice}} }, "lease": { "leases": {{Quota}} } }""", """{ "name": "others", "lease": {} }"""));
        await using var citizen = await Citizen.StartAsync(Broker);
        var bob = await HoldAsync(await ProcessAsync("bob", Bob), Pages(1));
        string program = Directory.File("swarm");
        File.Copy(NativeProgram.Build("swarm.c"), program);
        Assert.Single(await LeasesAsync(), lease => lease.Id == bob.Lease.Id);
        int clientsBefore = Broker.OpenClients;

        using var swarm = Tool.Start([
            "setpriv", $"--reuid={Alice}", "--regid=nogroup", "--clear-groups", program,
            Broker.FdSocket, $"{Children}", "3000", Convert.ToHexStringLower(FdClient.Acquire(Pages(1), "one")),
        ]);
        int cycles = citizen.Cycles;
        var numbers = (await swarm.LineAsync("leases ")).Split(' ').Where((_, index) => index % 2 == 1).Select(int.Parse).ToArray();

        TestContext.Current.TestOutputHelper?.WriteLine($"{swarm.Output}; meanwhile another user had {citizen.Cycles - cycles} leases");
        Assert.Equal((Quota, 0), (numbers[0], numbers[3]));
        Assert.True(numbers[1] > 0 && numbers[2] > 0, $"both limits are met: {swarm.Output}");
        var leases = await LeasesAsync();
        Assert.Equal(Quota, leases.Count(lease => lease.Owner.Uid == Alice));
        Assert.Equal(Quota, leases.Where(lease => lease.Owner.Uid == Alice).Select(lease => lease.Owner.Pid).Distinct().Count());
        Assert.InRange(Broker.OpenClients, clientsBefore + (2 * Quota), clientsBefore + (2 * (Connections + Quota)));
        await citizen.AssertGoesOnAsync();
        Assert.Equal(LeaseState.Active, (await LookAsync(bob.Lease.Id)).State);

        Assert.Equal(0, Syscall.kill(swarm.Pid, Signum.SIGKILL));
        await Wait.Until(async () => (await LeasesAsync()).All(lease => lease.Owner.Uid != Alice), "the leases of the dead end", Patience.Long);
        await Wait.Until(() => Broker.OpenClients <= clientsBefore, "the broker closes what it had open for them", Patience.Long);
        var again = await HoldAsync(await ProcessAsync("again", Alice), Pages(1));
        Assert.Equal(LeaseState.Active, (await LookAsync(again.Lease.Id)).State);
        Assert.Empty(Broker.Errors);
    }
}
