// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Devices.Simulated;
using BarBroker.Testing;

namespace BarBroker.Tests.Devices.Simulated;

/// <summary>What a revoke does to those who hold the buffer: real processes that are told SIGBUS by the kernel.</summary>
[Collection(typeof(Alone))]
public sealed class SimulatedRevokeTests : TestBase
{
    private const ulong Size = 4 * 4096;

    private SimulatedDevice _device = null!;
    private TestDirectory _directory = null!;

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        _directory = Own(new TestDirectory());
        _device = Own(new SimulatedDevice(new SimulatedDeviceOptions("sim0", [new(0, 64 * 4096)])));
        _device.Open();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Revoke_HeldByAProcess_IsSigbusThere(bool isReadOnly)
    {
        var buffer = Export(0, isReadOnly ? BufferAccess.ReadOnly : BufferAccess.ReadWrite);
        var holder = await StartHolder();
        await holder.Hold(buffer.Handle, writable: !isReadOnly);
        Assert.Equal("ok", await holder.Tell("touch"));

        _device.Revoke(buffer);

        Assert.Equal("sigbus", await holder.Tell("touch"));
        Assert.Equal("sigbus", await holder.Tell("remap"));
        Assert.Equal("0", await holder.Tell("size"));
        Assert.StartsWith("error", await holder.Tell("cut 4096"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Revoke_HeldByAForkedChild_IsSigbusInBoth()
    {
        var buffer = Export(0);
        var holder = await StartHolder();
        await holder.Hold(buffer.Handle);
        Assert.Equal("ok", await holder.Tell("fork"));
        Assert.Equal("ok", await holder.Tell("touch"));

        _device.Revoke(buffer);

        Assert.Equal("sigbus", await holder.Tell("touch"));
        await holder.EndChild();
        Assert.Equal("sigbus", await holder.Tell("touch"));
    }

    [Fact]
    public async Task Revoke_PassedOnToAThirdProcess_IsSigbusThere()
    {
        var buffer = Export(0);
        var (holder, third) = (await StartHolder(), await StartHolder());
        await holder.Hold(buffer.Handle);
        Assert.Equal("ok", await holder.Tell($"pass {third.Path}"));
        Assert.Equal("ok", await third.Tell($"take {Size}"));
        Assert.Equal("ok", await third.Tell("touch"));
        holder.Dispose();

        _device.Revoke(buffer);

        Assert.Equal("sigbus", await third.Tell("touch"));
    }

    [Fact]
    public async Task Revoke_WaitingInAnUnreadSocket_IsSigbusForWhoeverFindsIt()
    {
        var buffer = Export(0);
        var (holder, third) = (await StartHolder(), await StartHolder());
        await holder.Hold(buffer.Handle);
        Assert.Equal("ok", await holder.Tell($"pass {third.Path}"));

        _device.Revoke(buffer);

        Assert.Equal("ok", await third.Tell($"take {Size}"));
        Assert.Equal("0", await third.Tell("size"));
        Assert.Equal("sigbus", await third.Tell("touch"));
    }

    [Fact]
    public async Task Revoke_OtherBuffers_StayAndKeepTheirContent()
    {
        var (buffer, other) = (Export(0), Export(Size));
        var (holder, bystander) = (await StartHolder(), await StartHolder());
        await holder.Hold(buffer.Handle);
        await bystander.Hold(other.Handle);
        Assert.Equal("ok", await bystander.Tell("put 5000 42"));

        _device.Revoke(buffer);

        Assert.Equal("ok", await bystander.Tell("touch"));
        Assert.Equal("42", await bystander.Tell("get 5000"));
    }

    [Fact]
    public async Task Close_BuffersHeld_IsSigbusInAll()
    {
        var (holder, other) = (await StartHolder(), await StartHolder());
        await holder.Hold(Export(0).Handle);
        await other.Hold(Export(Size).Handle);

        _device.Close();

        Assert.Equal(["sigbus", "sigbus"], [await holder.Tell("touch"), await other.Tell("touch")]);
    }

    [Fact]
    public async Task Export_WrittenByOneProcess_IsReadByTheNext()
    {
        var first = Export(0);
        var holder = await StartHolder();
        await holder.Hold(first.Handle);
        Assert.Equal("ok", await holder.Tell("put 8193 77"));
        _device.Revoke(first);

        var next = await StartHolder();
        await next.Hold(Export(0).Handle);

        Assert.Equal("77", await next.Tell("get 8193"));
        Assert.Equal("sigbus", await holder.Tell("get 8193"));
    }

    [Fact]
    public async Task Revoke_HolderCutsMeanwhile_AlwaysEndsAccess()
    {
        var holder = await StartHolder();
        for (int i = 0; i < 20; i++)
        {
            var buffer = Export(0);
            await holder.Hold(buffer.Handle);
            Assert.Equal("ok", await holder.Tell("touch"));
            var cutting = holder.Tell($"cut {i * 300}");

            _device.Revoke(buffer);

            await cutting;
            Assert.Equal("sigbus", await holder.Tell("touch"));
            Assert.Equal("0", await holder.Tell("size"));
        }
    }

    private async Task<Holder> StartHolder() => Own(await Holder.Start(_directory));

    private ExportedBuffer Export(ulong offset, BufferAccess access = BufferAccess.ReadWrite)
    {
        ImmutableArray<BarRange> ranges = [new BarRange(offset, Size)];
        return Own(_device.Export(0, ranges, access, MemoryAttribute.NonCached));
    }
}
