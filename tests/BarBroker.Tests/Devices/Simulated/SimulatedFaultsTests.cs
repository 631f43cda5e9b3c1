// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Devices.Simulated;
using BarBroker.Leases;
using BarBroker.Linux;
using BarBroker.Linux.Time;
using BarBroker.Testing;

namespace BarBroker.Tests.Devices.Simulated;

[Collection(typeof(Alone))]
public sealed class SimulatedFaultsTests : TestBase
{
    private const ulong Page = 4096;

    private string _file = "";
    private SimulatedDevice _device = null!;

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        _file = Own(new TestDirectory()).File("faults");
        _device = Own(new SimulatedDevice(new SimulatedDeviceOptions("sim0", [new(0, 16 * Page)], FaultsFile: _file)));
    }

    [Fact]
    public void Parse_EveryKind_IsUnderstood()
    {
        var faults = SimulatedFaults.Parse("f", ["# comment", "", "revoke slow 500ms", "  revoke   fail EIO ", "export stuck", "open slow 2s", "close slow 1m", "vanish"]);

        Assert.Equal(new SimulatedFault(TimeSpan.FromMilliseconds(500), false, Errno.EIO), faults[SimulatedOperation.Revoke]);
        Assert.Equal(new SimulatedFault(default, true, Errno.None), faults[SimulatedOperation.Export]);
        Assert.Equal((2, 60), (faults[SimulatedOperation.Open].Delay.TotalSeconds, faults[SimulatedOperation.Close].Delay.TotalSeconds));
        Assert.Equal(default, faults[SimulatedOperation.Reset]);
        Assert.True(faults.IsVanished);
    }

    [Theory]
    [InlineData("revoke")]
    [InlineData("revoke fail")]
    [InlineData("revoke fail 5")]
    [InlineData("revoke fail ENOSUCH")]
    [InlineData("revoke fail EIO EIO")]
    [InlineData("revoke slow")]
    [InlineData("revoke slow -5ms")]
    [InlineData("revoke slow 5")]
    [InlineData("revoke slow 5h")]
    [InlineData("Revoke stuck")]
    [InlineData("explode stuck")]
    [InlineData("vanish now")]
    public void Parse_Malformed_NamesFileAndLine(string line)
    {
        var exception = Assert.Throws<IOException>(() => SimulatedFaults.Parse("/x/faults", ["vanish", line]));

        Assert.StartsWith($"faults file /x/faults, line 2: \"{line}\"", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Operations_FileAbsentOrEmpty_Work()
    {
        _device.Open();
        File.WriteAllText(_file, "");

        _device.Revoke(Export());
    }

    [Fact]
    public void Operations_FileMalformed_Fail()
    {
        File.WriteAllText(_file, "nonsense");

        Assert.Contains("line 1", Assert.Throws<IOException>(_device.Open).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Revoke_Fails_AccessStaysAndTheNextOneEndsIt()
    {
        _device.Open();
        var buffer = Export();
        File.WriteAllText(_file, "revoke fail EIO");

        Assert.Equal(Errno.EIO, Assert.Throws<LinuxException>(() => _device.Revoke(buffer)).Errno);
        Assert.Equal(Page, buffer.Handle.GetSize());

        File.Delete(_file);
        _device.Revoke(buffer);
        Assert.Equal(0ul, buffer.Handle.GetSize());
    }

    [Theory]
    [InlineData("open")]
    [InlineData("close")]
    [InlineData("export")]
    [InlineData("reset")]
    public void Operation_Fails_Throws(string operation)
    {
        if (operation != "open")
        {
            _device.Open();
        }

        File.WriteAllText(_file, $"{operation} fail EBUSY");

        var exception = Assert.Throws<LinuxException>(() => Perform(operation));
        Assert.Equal(Errno.EBUSY, exception.Errno);
        Assert.Contains("sim0", exception.Message, StringComparison.Ordinal);
        File.Delete(_file);
        Perform(operation);
    }

    [Fact]
    public async Task Revoke_Stuck_ReturnsWhenTheLineIsGone()
    {
        _device.Open();
        var buffer = Export();
        File.WriteAllText(_file, "revoke stuck");

        var revoking = Task.Run(() => _device.Revoke(buffer), Cancellation);
        await Task.WhenAny(revoking, Task.Delay(SimulatedFaultGate.PollInterval * 5, Cancellation));
        Assert.False(revoking.IsCompleted);
        Assert.Equal(Page, buffer.Handle.GetSize());

        File.Delete(_file);
        await Wait.For(revoking, "the stuck revoke to return");
        Assert.Equal(0ul, buffer.Handle.GetSize());
    }

    [Fact]
    public async Task Vanish_IdleDevice_SaysSoOnceAndFailsEverythingButClose()
    {
        var told = Signals();
        _device.Open();
        var buffer = Export();

        File.WriteAllText(_file, "vanish");
        await Wait.Until(() => !told.IsEmpty, "the device says that it vanished");

        Assert.Equal(Errno.ENODEV, Assert.Throws<LinuxException>(() => _device.Revoke(buffer)).Errno);
        Assert.Equal(Errno.ENODEV, Assert.Throws<LinuxException>(() => Export()).Errno);
        _device.Close();
        Assert.Equal(0ul, buffer.Handle.GetSize());
        Assert.Equal(Errno.ENODEV, Assert.Throws<LinuxException>(_device.Open).Errno);
        var (signal, reason) = Assert.Single(told);
        Assert.Equal(DeviceSignal.Vanished, signal);
        Assert.Contains(_file, reason, StringComparison.Ordinal);

        File.Delete(_file);
        _device.Open();
        File.WriteAllText(_file, "vanish");
        await Wait.Until(() => told.Count > 1, "the device says it again after it came back");
    }

    [Fact]
    public async Task Request_OpenDevice_IsToldOnceAndWorksUntilItIsClosed()
    {
        var told = Signals();
        _device.Open();

        File.WriteAllText(_file, "request");
        await Wait.Until(() => !told.IsEmpty, "the device is asked for");

        _device.Revoke(Export());
        _device.Close();
        Assert.Equal(Errno.ENODEV, Assert.Throws<LinuxException>(_device.Open).Errno);
        Assert.Equal(DeviceSignal.Requested, Assert.Single(told).Signal);

        File.Delete(_file);
        _device.Open();
        File.WriteAllText(_file, "request");
        await Wait.Until(() => told.Count > 1, "the device is asked for again");
    }

    [Fact]
    public async Task Error_OpenDevice_IsToldWheneverTheLineAppears()
    {
        var told = Signals();
        _device.Open();

        File.WriteAllText(_file, "error");
        await Wait.Until(() => !told.IsEmpty, "the device tells of its error");
        _device.Close();
        _device.Open();
        _device.Reset();
        Assert.Equal(DeviceSignal.Failed, Assert.Single(told).Signal);

        File.WriteAllText(_file, "request\n");
        await Wait.Until(() => told.Count > 1, "the file read without the error");
        File.WriteAllText(_file, "error");
        await Wait.Until(() => told.Count > 2, "another error told");
    }

    [Fact]
    public async Task Vanish_DeviceWithLeases_EndsThemAndComesBack()
    {
        using var device = new SimulatedDevice(new SimulatedDeviceOptions("sim1", [new(0, 16 * Page)], FaultsFile: _file));
        await using var leases = new LeaseManager(new LeaseOptions(), [new DeviceRegistration(device)], 1, new BootTimeProvider());
        leases.Start();
        await Wait.For(leases.WaitFirstOpenAsync(Cancellation), "the device to open");
        var request = new AcquireRequest("sim1", [new BufferRequest(0, [], Page)], BufferAccess.ReadWrite, MemoryAttribute.NonCached, null, null, ImmutableDictionary<string, string>.Empty, "");
        var grant = await leases.AcquireAsync(request, new LeaseOwner(0, 0, Environment.ProcessId, "test"), Cancellation);

        File.WriteAllText(_file, "vanish");

        await Wait.Until(() => leases.Get(grant.Lease.Id).State == LeaseState.Ended, "the lease of a device that vanished to end");
        Assert.Equal(EndReason.DeviceLost, leases.Get(grant.Lease.Id).EndReason);
        await Wait.Until(() => leases.Device("sim1").State == DeviceState.Unavailable, "the device shown as gone");
        File.Delete(_file);
        await Wait.Until(() => leases.Device("sim1").State == DeviceState.Ready, "the device back");
    }

    private ConcurrentQueue<(DeviceSignal Signal, string Reason)> Signals()
    {
        var told = new ConcurrentQueue<(DeviceSignal, string)>();
        _device.Signaled += (signal, reason) => told.Enqueue((signal, reason));
        return told;
    }

    private void Perform(string operation)
    {
        switch (operation)
        {
            case "open":
                _device.Open();
                break;
            case "close":
                _device.Close();
                break;
            case "export":
                Export();
                break;
            default:
                _device.Reset();
                break;
        }
    }

    private ExportedBuffer Export() => Own(_device.Export(0, [new BarRange(0, Page)], BufferAccess.ReadWrite, MemoryAttribute.NonCached));
}
