// SPDX-License-Identifier: Apache-2.0

using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Testing;
using BarBroker.V1;

namespace BarBroker.EndToEnd.Tests.Devices;

/// <summary>What becomes of processes that have a lease when the kernel asks for the device, and when it fails.</summary>
public sealed class DeviceLifeTests : TestBase
{
    private readonly TestDirectory _directory;
    private readonly HolderProcesses _processes;

    public DeviceLifeTests()
    {
        _directory = Own(new TestDirectory());
        _processes = Own(new HolderProcesses(_directory.Path));
    }

    [Fact]
    public async Task Requested_LeaseIsNotGivenBack_IsToldAndLosesAccessAtTheDeadline()
    {
        var grace = TimeSpan.FromSeconds(8);
        var broker = await StartAsync("8s");
        using var admin = RpcClient.Dial(broker.OperatorSocket);
        await using var holder = await HoldAsync(broker, "client");

        await SayAsync("request");

        var notice = await NoticeAsync(holder, LeaseState.Recalled);
        Assert.Equal(EndReason.DeviceLost, notice.RecallReason);
        Assert.InRange(notice.RecallRemaining.ToTimeSpan(), TimeSpan.Zero, grace);
        var device = await DeviceAsync(admin);
        var access = await holder.Process.ProbeAsync(holder.Bytes);
        // A machine that is so slow that the deadline has come by now has shown nothing wrong.
        if ((await holder.GetAsync()).State == LeaseState.Recalled)
        {
            Assert.Equal(DeviceState.Leaving, device.State);
            Assert.DoesNotContain("SIGBUS", access.Values);
        }

        Assert.Equal(EndReason.DeviceLost, (await NoticeAsync(holder, LeaseState.Ended)).EndReason);
        Assert.Equal("SIGBUS", (await holder.Process.ProbeAsync(holder.Bytes))["read"]);
        await WaitForAsync(admin, DeviceState.Unavailable);

        File.Delete(Faults);
        await WaitForAsync(admin, DeviceState.Ready);
        await using var again = await HoldAsync(broker, "again");
    }

    [Fact]
    public async Task Requested_LeaseIsReleased_TheDeviceIsClosedAtOnce()
    {
        var broker = await StartAsync("10m");
        using var admin = RpcClient.Dial(broker.OperatorSocket);
        await using var holder = await HoldAsync(broker, "client");

        await SayAsync("request");
        await NoticeAsync(holder, LeaseState.Recalled);
        await holder.Leases.ReleaseAsync(new ReleaseRequest { LeaseId = holder.Lease.Id });

        // The grace has ten minutes, this test one.
        await WaitForAsync(admin, DeviceState.Unavailable);
        Assert.Equal(EndReason.Released, (await holder.GetAsync()).EndReason);
    }

    [Fact]
    public async Task Requested_ProcessIsKilled_TheDeviceIsClosedAtOnce()
    {
        var broker = await StartAsync("10m");
        using var admin = RpcClient.Dial(broker.OperatorSocket);
        await using var holder = await HoldAsync(broker, "client");

        await SayAsync("request");
        await NoticeAsync(holder, LeaseState.Recalled);
        holder.Process.Signal(Mono.Unix.Native.Signum.SIGKILL);

        await WaitForAsync(admin, DeviceState.Unavailable);
    }

    [Fact]
    public async Task Failed_LeaseEndsAtOnceAndTheDeviceIsCordonedUntilItIsReset()
    {
        var broker = await StartAsync("10m");
        using var admin = RpcClient.Dial(broker.OperatorSocket);
        await using var holder = await HoldAsync(broker, "client");

        await SayAsync("error");

        Assert.Equal(EndReason.DeviceLost, (await NoticeAsync(holder, LeaseState.Ended)).EndReason);
        Assert.DoesNotContain(holder.Process.Notices, static notice => notice.State == LeaseState.Recalled);
        Assert.Equal("SIGBUS", (await holder.Process.ProbeAsync(holder.Bytes))["read"]);
        var device = await WaitForAsync(admin, DeviceState.Cordoned);
        Assert.Equal(CordonCause.Error, Assert.Single(device.Cordons).Cause);

        var reset = await admin.Operator.ResetDeviceAsync(new ResetDeviceRequest { Device = "sim0" });
        Assert.Equal(DeviceState.Ready, reset.Device.State);
        await using var again = await HoldAsync(broker, "again");
    }

    private string Faults => _directory.File("faults");

    private Task SayAsync(string fault) => File.WriteAllTextAsync(Faults, fault + "\n", Cancellation);

    private async Task<Daemon> StartAsync(string grace)
    {
        string configuration = new BrokerConfiguration().Device("sim0", "1MiB", Faults, grace).Write(_directory.Path);
        return Own(await Daemon.StartAsync(_directory.Path, configuration));
    }

    private async Task<LeaseHolder> HoldAsync(Daemon broker, string name) => await LeaseHolder.HoldAsync(
        broker, await _processes.StartAsync(name), new AcquireRequest { Device = "sim0", Buffers = { new BufferRequest { Size = 0x2000 } } });

    private static async Task<Lease> NoticeAsync(LeaseHolder holder, LeaseState state)
    {
        Lease? notice = null;
        await Wait.Until(() => (notice = holder.Process.Notices.FirstOrDefault(lease => lease.State == state)) is not null, $"{holder.Process.Name} is told that its lease is {state}", Patience.Long);
        return notice!;
    }

    private static async Task<Device> DeviceAsync(RpcClient admin) => (await admin.Operator.GetDeviceAsync(new GetDeviceRequest { Device = "sim0" })).Device;

    private static async Task<Device> WaitForAsync(RpcClient admin, DeviceState state)
    {
        var device = new Device();
        await Wait.Until(async () => (device = await DeviceAsync(admin)).State == state, $"sim0 is {state}", Patience.Long);
        return device;
    }
}
