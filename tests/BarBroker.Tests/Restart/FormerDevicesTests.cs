// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Configuration;
using BarBroker.Devices;
using BarBroker.Devices.Simulated;
using BarBroker.Journal;
using BarBroker.Leases;
using BarBroker.Linux;
using BarBroker.Linux.Memory;
using BarBroker.Linux.ServiceManager;
using BarBroker.Restart;
using BarBroker.Testing;
using BarBroker.Tests.Devices.Vfio;
using Microsoft.Extensions.Time.Testing;

namespace BarBroker.Tests.Restart;

/// <summary>Leases of devices that are not configured any more: what proves that they are over, and what does not.</summary>
public sealed class FormerDevicesTests : TestBase
{
    private const int NotRevoked = 612;
    private const int Unproven = 613;
    private const string Address = "0000:01:00.0";

    private readonly FakeTimeProvider _time = new();
    private FakeSysfs _sysfs = null!;
    private FormerDevices _former = null!;

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        _sysfs = Own(new FakeSysfs());
        _sysfs.AddDevice(Address, driver: "vfio-pci", group: "7", vfioName: "vfio0");
        _former = Of();
    }

    [Fact]
    public async Task FindUnproven_NobodyHasTheFunctionEnabled_IsProof()
    {
        Assert.Empty(await FindUnprovenAsync(Record(1, Address)));
    }

    [Fact]
    public async Task FindUnproven_EnabledAndItsGroupOpens_IsProof()
    {
        _sysfs.SetEnabled(Address, 1);
        _sysfs.AddGroupNode("7");

        Assert.Empty(await FindUnprovenAsync(Record(1, Address)));
    }

    [Fact]
    public async Task FindUnproven_EnabledAndItsGroupIsHidden_IsNoProofAndIsTold()
    {
        _sysfs.SetEnabled(Address, 1);
        _sysfs.AddGroupClass("7");

        Assert.Equal([1u, 2u], await FindUnprovenAsync(Record(1, Address), Record(2, Address)));

        var told = Assert.Single(Logs.Entries, static entry => entry.Event.Id == Unproven);
        Assert.Contains($"{Address} is enabled 1 times, and its group cannot be opened", told.Message, StringComparison.Ordinal);
        Assert.Contains("2 of its leases", told.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task FindUnproven_ClosedMeanwhile_IsWaitedFor()
    {
        _sysfs.SetEnabled(Address, 1);
        _sysfs.AddGroupClass("7");
        var finding = _former.FindUnprovenAsync([Record(1, Address)], Cancellation);
        _time.Advance(TimeSpan.FromMilliseconds(10));
        Assert.False(finding.IsCompleted);

        _sysfs.SetEnabled(Address, 0);

        Assert.Empty(await PassAsync(finding));
    }

    [Fact]
    public async Task FindUnproven_TheFunctionIsGone_IsProof()
    {
        _sysfs.SetEnabled(Address, 1);
        Directory.Delete(_sysfs.Of(Address), recursive: true);

        Assert.Empty(await FindUnprovenAsync(Record(1, Address)));
    }

    [Fact]
    public async Task FindUnproven_WithoutSysfs_IsNoProof()
    {
        Directory.Delete(_sysfs.Sys, recursive: true);

        Assert.Equal([1u], await FindUnprovenAsync(Record(1, Address)));
    }

    [Fact]
    public async Task FindUnproven_SimulatedBuffers_AllOfALeaseMustHaveBeenTakenBack()
    {
        using var device = Simulated("gone");
        var buffers = Export(device, 3);
        FileIdentity[] files = [.. buffers.Select(static buffer => buffer.GetFileIdentity())];

        Assert.True(_former.TryLetGo(new PassedDescriptor("La", buffers[0].Duplicate())));
        Assert.True(_former.TryLetGo(new PassedDescriptor("La", buffers[1].Duplicate())));

        Assert.Equal([0u, 0u, 4096u], buffers.Select(static buffer => buffer.GetSize()));
        Assert.Equal([2u], await FindUnprovenAsync(Record(1, "", [files[0], files[1]]), Record(2, "", [files[1], files[2]])));
    }

    [Fact]
    public async Task FindUnproven_NoBufferWasMade_IsOverUnlessItWasHandedOverOrIsInDoubt()
    {
        _former.Doubt(3);

        Assert.Equal([2u, 3u], await FindUnprovenAsync(Record(1, "", isFetched: false), Record(2, ""), Record(3, "", isFetched: false)));
    }

    [Fact]
    public async Task TryLetGo_AccessCannotBeEnded_IsKeptAndProvesNothing()
    {
        Logs.Expect(NotRevoked);
        using var buffer = Memfd.Create("barbroker:gone:0", 4096);
        buffer.AddSeals(MemfdSeals.Shrink | MemfdSeals.Grow);

        Assert.False(_former.TryLetGo(new PassedDescriptor("La", buffer.Duplicate())));

        Assert.Equal([1u], await FindUnprovenAsync(Record(1, "", [buffer.GetFileIdentity()])));
    }

    [Fact]
    public async Task TryLetGo_BufferThatItsHoldersCanMakeGrowAgain_ProvesNothing()
    {
        using var buffer = Memfd.Create("barbroker:gone:0", 4096);

        Assert.True(_former.TryLetGo(new PassedDescriptor("La", buffer.Duplicate())));

        Assert.Equal(0u, buffer.GetSize());
        Assert.Equal([1u], await FindUnprovenAsync(Record(1, "", [buffer.GetFileIdentity()])));
    }

    [Theory]
    [InlineData("stranger")]
    [InlineData("barbroker:leases")]
    [InlineData("barbroker:gone:0:memory")]
    [InlineData("barbroker::0")]
    public void TryLetGo_MemoryThatIsNoBuffer_IsClosedAndLeftAsItIs(string name)
    {
        using var memory = Memfd.Create(name, 4096);
        var kept = memory.Duplicate();

        Assert.True(_former.TryLetGo(new PassedDescriptor("La", kept)));

        Assert.True(kept.IsClosed);
        Assert.Equal(4096u, memory.GetSize());
    }

    [Theory]
    [InlineData("same", Address, "same")]
    [InlineData("old", Address, "same")]
    [InlineData("same", "0000:02:00.0", null)]
    [InlineData("memory", "0000:02:00.0", null)]
    [InlineData("memory", "", "memory")]
    [InlineData("gone", "", null)]
    [InlineData("gone", "0000:02:00.0", null)]
    public void Successor_OfARecord_IsTheDeviceBehindItAndNotOnlyItsName(string name, string address, string? successor)
    {
        var former = Of(new VfioDeviceEntry("same", false, Address, null, null), new SimulatedDeviceEntry("memory", false, [new BarDescription(0, 4096)], RevocationDomain.Selective, null));
        var record = Record(1, address);
        record.Lease.Device = name;

        Assert.Equal(successor, former.Successor(record, new HashSet<string> { "same", "memory" }));
    }

    private FormerDevices Of(params DeviceEntry[] configured) => new(configured, _time, Logs.CreateLogger<FormerDevices>()) { SysfsRoot = _sysfs.Sys, DevRoot = _sysfs.Dev };

    private async Task<IEnumerable<ulong>> FindUnprovenAsync(params EarlierLease[] records) => await PassAsync(_former.FindUnprovenAsync(records, Cancellation));

    /// <summary>Time goes on until it is done.</summary>
    private async Task<IEnumerable<ulong>> PassAsync(Task<ImmutableArray<EarlierLease>> finding)
    {
        while (!finding.IsCompleted)
        {
            _time.Advance(TimeSpan.FromMilliseconds(10));
            await Task.Yield();
        }

        return (await finding).Select(static record => record.Lease.Epoch);
    }

    private static EarlierLease Record(ulong epoch, string address, FileIdentity[]? files = null, bool isFetched = true) => new(
        new V1.Lease { Epoch = epoch, Device = "gone", State = V1.LeaseState.Active },
        new LeaseMarks { Address = address, Fetched = isFetched, Files = [.. files ?? []] },
        "boot");

    private static SimulatedDevice Simulated(string name)
    {
        var device = new SimulatedDevice(new SimulatedDeviceOptions(name, [new BarDescription(0, 1 << 20)], RevocationDomain.Selective, null));
        device.Open();
        return device;
    }

    private FileDescriptor[] Export(SimulatedDevice device, int count) =>
        [.. Enumerable.Range(0, count).Select(i => Own(device.Export(0, [new BarRange((ulong)i * 4096, 4096)], BufferAccess.ReadWrite, MemoryAttribute.NonCached)).Handle)];
}
