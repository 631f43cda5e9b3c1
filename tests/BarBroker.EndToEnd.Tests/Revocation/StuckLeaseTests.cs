// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Text.Json.Nodes;
using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Testing;
using BarBroker.V1;

namespace BarBroker.EndToEnd.Tests.Revocation;

/// <summary>What the broker does about a revoke that is stuck, to real processes, and that nobody else feels it.</summary>
public sealed class StuckLeaseTests : TestBase
{
    private readonly TestDirectory _directory;
    private readonly HolderProcesses _hub;

    public StuckLeaseTests()
    {
        _directory = Own(new TestDirectory());
        _hub = Own(new HolderProcesses(_directory.Path));
    }

    private string Faults => _directory.File("faults");

    [Theory]
    [InlineData("revoke stuck", "the thread of the device does not come back")]
    [InlineData("revoke fail EBUSY", "the device refuses")]
    public async Task Kill_ClientHoldsTheBuffer_IsKilledAndNobodyElse(string fault, string because)
    {
        var broker = await StartAsync(new JsonObject { ["kill"] = "1s", ["cordon"] = "0s" });
        using var rpc = RpcClient.Dial(broker.ClientSocket);
        var bystander = Own(await LeaseHolder.HoldAsync(broker, await _hub.StartAsync("bystander"), On("sim1")));
        var holder = Own(await LeaseHolder.HoldAsync(broker, await _hub.StartAsync("holder"), On("sim0")));
        await File.WriteAllTextAsync(Faults, fault, Cancellation);

        var released = await rpc.Leases.ReleaseAsync(new ReleaseRequest { LeaseId = holder.Lease.Id }, cancellationToken: Cancellation);

        Assert.True(released.Lease.State == LeaseState.Stuck, $"{because}, so it is stuck");
        await Wait.Until(() => !IsAlive(holder.Process.Pid), "the client that holds on is killed", Patience.Long);
        var stuck = (await rpc.Leases.GetLeaseAsync(new GetLeaseRequest { LeaseId = holder.Lease.Id }, cancellationToken: Cancellation)).Lease;
        Assert.Equal(LeaseState.Stuck, stuck.State);
        Assert.True(stuck.StuckFor.ToTimeSpan() >= TimeSpan.FromSeconds(1));
        await Wait.Until(async () => (stuck = (await rpc.Leases.GetLeaseAsync(new GetLeaseRequest { LeaseId = holder.Lease.Id })).Lease).Escalations.Any(IsDoneKill), "the kill is recorded", Patience.Long);
        Assert.Matches($"SIGKILL to process {holder.Process.Pid} .*(descriptor|mapping)", stuck.Escalations.Single(IsDoneKill).Detail);
        Assert.Equal([CordonCause.Stuck], (await DeviceAsync(rpc, "sim0")).Cordons.Select(cordon => cordon.Cause));

        int renewed = bystander.Renewed;
        await Wait.Until(() => bystander.Renewed > renewed + 1, "a client of another device goes on", Patience.Long);
        File.Delete(Faults);
        await Wait.Until(
            async () => (await rpc.Leases.GetLeaseAsync(new GetLeaseRequest { LeaseId = holder.Lease.Id })).Lease.State == LeaseState.Ended, "the stuck lease ends", Patience.Long);
        Assert.Empty((await DeviceAsync(rpc, "sim0")).Cordons);
        Assert.Contains($"Process {holder.Process.Pid} ", broker.Log, StringComparison.Ordinal);
        Assert.True(IsAlive(bystander.Process.Pid));
    }

    [Fact]
    public async Task Kill_ClientPassedTheBufferOn_IsLeftAlone()
    {
        var broker = await StartAsync(new JsonObject { ["kill"] = "1s" });
        using var rpc = RpcClient.Dial(broker.ClientSocket);
        var client = Own(await LeaseHolder.AcquireAsync(broker, await _hub.StartAsync("client"), On("sim0")));

        // It is the test that fetches what the client has leased.
        using var fds = new FdClient(broker.FdSocket);
        Assert.Equal(client.Lease.Id, (await fds.AskAsync(FdClient.Packet(client.Ticket)))?.Delivery?.Lease.Id);
        await File.WriteAllTextAsync(Faults, "revoke fail EBUSY", Cancellation);
        await rpc.Leases.ReleaseAsync(new ReleaseRequest { LeaseId = client.Lease.Id }, cancellationToken: Cancellation);

        var lease = client.Lease;
        await Wait.Until(
            async () => (lease = (await rpc.Leases.GetLeaseAsync(new GetLeaseRequest { LeaseId = client.Lease.Id })).Lease).Escalations.Any(step => step is { Step: EscalationStep.Kill, Outcome: not EscalationOutcome.Begun }),
            "the broker has looked at the client",
            Patience.Long);

        var kill = lease.Escalations.Single(step => step.Step == EscalationStep.Kill);
        Assert.Equal(EscalationOutcome.Refused, kill.Outcome);
        Assert.Contains("neither a descriptor nor a mapping", kill.Detail, StringComparison.Ordinal);
        Assert.True(IsAlive(client.Process.Pid));
        File.Delete(Faults);
    }

    [Fact]
    public async Task Stop_RevokeStuck_EndsInTimeAndTheNextBrokerServes()
    {
        var broker = await StartAsync(new JsonObject());
        using (var rpc = RpcClient.Dial(broker.ClientSocket))
        {
            var holder = Own(await LeaseHolder.HoldAsync(broker, await _hub.StartAsync("holder"), On("sim0")));
            await File.WriteAllTextAsync(Faults, "revoke stuck", Cancellation);
            await rpc.Leases.ReleaseAsync(new ReleaseRequest { LeaseId = holder.Lease.Id }, cancellationToken: Cancellation);
        }

        Assert.Equal(0, await broker.StopAsync());
        File.Delete(Faults);
        var next = await StartAsync(new JsonObject());
        using var client = RpcClient.Dial(next.ClientSocket);
        Assert.NotEmpty((await client.Leases.AcquireAsync(On("sim0"), cancellationToken: Cancellation)).Ticket);
        Assert.NotEmpty((await client.Leases.AcquireAsync(On("sim1"), cancellationToken: Cancellation)).Ticket);
    }

    private async Task<Daemon> StartAsync(JsonObject escalation)
    {
        string configuration = new BrokerConfiguration()
            .Device("sim0", "4MiB", Faults)
            .Device("sim1", "4MiB")
            .Set("leases", "revokeTimeout", "200ms")
            .Set("leases", "escalation", escalation)
            .Write(_directory.Path);
        return Own(await Daemon.StartAsync(_directory.Path, configuration));
    }

    private static AcquireRequest On(string device) => new() { Device = device, Buffers = { new BufferRequest { Bar = 0, Size = 8192 } } };

    private static async Task<Device> DeviceAsync(RpcClient rpc, string name) =>
        (await rpc.Leases.ListDevicesAsync(new ListDevicesRequest(), cancellationToken: Cancellation)).Devices.Single(device => device.Name == name);

    private static bool IsDoneKill(Escalation step) => step is { Step: EscalationStep.Kill, Outcome: EscalationOutcome.Done };

    /// <summary>A child that was killed is there until its parent asks; it has nothing mapped any more.</summary>
    private static bool IsAlive(int pid)
    {
        try
        {
            return !Process.GetProcessById(pid).HasExited && File.ReadAllText($"/proc/{pid}/cmdline").Length > 0;
        }
        catch (Exception exception) when (exception is ArgumentException or IOException or InvalidOperationException)
        {
            return false;
        }
    }
}
