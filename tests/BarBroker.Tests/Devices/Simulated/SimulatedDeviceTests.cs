// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Devices.Simulated;
using BarBroker.Linux;
using BarBroker.Linux.Memory;

namespace BarBroker.Tests.Devices.Simulated;

public sealed class SimulatedDeviceTests : IDisposable
{
    private const ulong Page = 4096;

    private readonly SimulatedDevice _device = new(new SimulatedDeviceOptions("sim0", [new(0, 16 * Page), new(2, 1ul << 30)]));

    public SimulatedDeviceTests() => _device.Open();

    [Fact]
    public void Open_Described_TellsWhatItCanDo()
    {
        var description = _device.Description!;

        Assert.Equal(("simulated", RevocationDomain.Selective, Page), (description.Kind, description.Domain, description.PageSize));
        Assert.Equal([0, 2], description.Bars.Select(bar => bar.Index));
        Assert.True(description.CanReset);
    }

    [Fact]
    public void Export_RangesOutOfOrder_IsTheirSumInThatOrder()
    {
        using var whole = Export(0, new BarRange(0, 16 * Page));
        Memory(whole).Write(2 * Page, "two"u8);
        Memory(whole).Write(9 * Page, "nine"u8);
        _device.Revoke(whole);

        using var buffer = Export(0, new BarRange(9 * Page, 2 * Page), new BarRange(2 * Page, Page));

        Assert.Equal(3 * Page, buffer.Handle.GetSize());
        Assert.Equal("nine"u8, Read(buffer, 0, 4));
        Assert.Equal("two"u8, Read(buffer, 2 * Page, 3));
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(0xdeadbeefu)]
    public void Fill_RangeThatWasWritten_NextExportHasTheWordThereAndElsewhereWhatWasThere(uint word)
    {
        using var first = Export(0, new BarRange(0, 4 * Page));
        byte[] left = [.. Enumerable.Repeat((byte)7, (int)(4 * Page))];
        Memory(first).Write(0, left);
        _device.Revoke(first);

        _device.Fill(0, new BarRange(Page, 2 * Page), word);

        using var second = Export(0, new BarRange(0, 4 * Page));
        Assert.Equal(left[..(int)Page], Read(second, 0, (int)Page));
        Assert.Equal(Pattern.Of(word, (int)(2 * Page)), Read(second, Page, (int)(2 * Page)));
        Assert.Equal(left[..(int)Page], Read(second, 3 * Page, (int)Page));
    }

    [Fact]
    public void Revoke_ThenExported_ContentSurvivesAcrossBufferShapes()
    {
        using var first = Export(0, new BarRange(4 * Page, Page), new BarRange(0, Page));
        Memory(first).Write(10, "four"u8);
        Memory(first).Write(Page + 10, "zero"u8);
        _device.Revoke(first);

        using var second = Export(0, new BarRange(0, 16 * Page));

        Assert.Equal("zero"u8, Read(second, 10, 4));
        Assert.Equal("four"u8, Read(second, (4 * Page) + 10, 4));
        Assert.Equal(new byte[Page], Read(second, 5 * Page, (int)Page));
    }

    [Fact]
    public void Revoke_Buffer_LeavesNothingAndCannotBeGrownOrWrittenAgain()
    {
        using var buffer = Export(0, new BarRange(0, Page));
        _device.Revoke(buffer);

        Assert.Equal(0ul, buffer.Handle.GetSize());
        Assert.Throws<LinuxException>(() => Memory(buffer).SetSize(Page));
        Assert.Throws<LinuxException>(() => Memory(buffer).Write(0, [1]));
    }

    [Fact]
    public void Export_Buffer_CannotBeSealedAgainstRevoking()
    {
        using var buffer = Export(0, new BarRange(0, Page));

        Assert.Throws<LinuxException>(() => Memory(buffer).AddSeals(MemfdSeals.Shrink));
        Assert.Throws<LinuxException>(() => Memory(buffer).SetSize(2 * Page));
    }

    [Fact]
    public void Revoke_Again_IsProofToo()
    {
        using var buffer = Export(0, new BarRange(0, Page));
        _device.Revoke(buffer);

        _device.Revoke(buffer);
    }

    [Fact]
    public void Revoke_OtherDevicesBuffer_FailsAndLeavesItAlone()
    {
        using var other = new SimulatedDevice(new SimulatedDeviceOptions("sim1", [new(0, Page)]));
        other.Open();
        using var buffer = other.Export(0, [new BarRange(0, Page)], BufferAccess.ReadWrite, MemoryAttribute.NonCached);

        Assert.Equal(Errno.ENODEV, Assert.Throws<LinuxException>(() => _device.Revoke(buffer)).Errno);
        Assert.Equal(Page, buffer.Handle.GetSize());
    }

    [Fact]
    public void Export_ReadOnly_RefusesWritesAlsoThroughANewOpen()
    {
        using var buffer = _device.Export(0, [new BarRange(0, Page)], BufferAccess.ReadOnly, MemoryAttribute.NonCached);

        Assert.Throws<LinuxException>(() => Memory(buffer).Write(0, [1]));
        Assert.Throws<LinuxException>(() => Mapping.Map(buffer.Handle, Page, writable: true));
        using (var again = FileDescriptor.Open($"/proc/self/fd/{buffer.Handle.Number}"))
        {
            Assert.Throws<LinuxException>(() => Mapping.Map(again, Page, writable: true));
        }

        using (Mapping.Map(buffer.Handle, Page, writable: false))
        {
        }

        _device.Revoke(buffer);
        Assert.Equal(0ul, buffer.Handle.GetSize());
    }

    [Fact]
    public void Revoke_HolderCutAPartOff_SavesTheRest()
    {
        Fill(0, 4 * Page, 0xaa);
        using var buffer = Export(0, new BarRange(0, 4 * Page));
        Memory(buffer).Write(0, Enumerable.Repeat((byte)0xbb, 4 * (int)Page).ToArray());
        Memory(buffer).SetSize(Page + 100);

        _device.Revoke(buffer);

        var content = ReadBar(0, 4 * Page);
        Assert.All(content[..((int)Page + 100)], value => Assert.Equal(0xbb, value));
        Assert.All(content[((int)Page + 100)..], value => Assert.Equal(0xaa, value));
    }

    [Fact]
    public void Revoke_HolderPunchedAHole_HoleReadsAsZeros()
    {
        Fill(0, 3 * Page, 0xaa);
        using var buffer = Export(0, new BarRange(0, 3 * Page));
        Memory(buffer).PunchHole(Page, Page);

        _device.Revoke(buffer);

        var content = ReadBar(0, 3 * Page);
        Assert.Equal([0xaa, 0, 0xaa], new[] { content[0], content[Page], content[2 * Page] });
    }

    [Fact]
    public void Revoke_HugeBarHardlyWritten_CostsOnlyWhatWasWritten()
    {
        const ulong size = 1ul << 30;
        using var buffer = Export(2, new BarRange(0, size));
        Memory(buffer).Write(size - 8, "the end!"u8);
        _device.Revoke(buffer);

        using var next = Export(2, new BarRange(0, size));

        Assert.Equal((size - Page, Page), Memory(next).FindData(0, size));
        Assert.Equal("the end!"u8, Read(next, size - 8, 8));
    }

    [Fact]
    public void Close_BuffersOut_RevokesEvenDisposedOnesAndKeepsContent()
    {
        var disposed = Export(0, new BarRange(0, Page));
        using var holder = disposed.Handle.Duplicate();
        Memory(disposed).Write(0, "kept"u8);
        disposed.Dispose();
        using var open = Export(2, new BarRange(0, Page));

        _device.Close();

        Assert.Equal((0ul, 0ul), (holder.GetSize(), open.Handle.GetSize()));
        _device.Open();
        Assert.Equal("kept"u8, ReadBar(0, Page).AsSpan(0, 4));
    }

    [Fact]
    public void Reset_ContentThere_IsZeros()
    {
        Fill(0, Page, 0xaa);

        _device.Reset();

        Assert.Equal(new byte[Page], ReadBar(0, Page));
    }

    [Fact]
    public void Export_RangePastTheBar_IsRefused()
    {
        Assert.Throws<InvalidOperationException>(() => Export(0, new BarRange(15 * Page, 2 * Page)));
        Assert.Throws<InvalidOperationException>(() => Export(0, new BarRange(ulong.MaxValue - Page + 1, Page)));
        Assert.Throws<InvalidOperationException>(() => Export(1, new BarRange(0, Page)));
    }

    [Fact]
    public void Revoke_DeviceDomain_IsRefusedAndCloseDoesIt()
    {
        using var device = new SimulatedDevice(new SimulatedDeviceOptions("sim1", [new(0, Page)], RevocationDomain.Device));
        device.Open();
        using var buffer = device.Export(0, [new BarRange(0, Page)], BufferAccess.ReadWrite, MemoryAttribute.WriteCombining);

        Assert.Throws<InvalidOperationException>(() => device.Revoke(buffer));
        Assert.Equal(Page, buffer.Handle.GetSize());
        device.Close();
        Assert.Equal(0ul, buffer.Handle.GetSize());
    }

    public void Dispose() => _device.Dispose();

    private ExportedBuffer Export(int bar, params ImmutableArray<BarRange> ranges) =>
        _device.Export(bar, ranges, BufferAccess.ReadWrite, MemoryAttribute.NonCached);

    private void Fill(int bar, ulong length, byte value)
    {
        using var buffer = Export(bar, new BarRange(0, length));
        Memory(buffer).Write(0, Enumerable.Repeat(value, (int)length).ToArray());
        _device.Revoke(buffer);
    }

    private byte[] ReadBar(int bar, ulong length)
    {
        using var buffer = Export(bar, new BarRange(0, length));
        var content = Read(buffer, 0, (int)length);
        _device.Revoke(buffer);
        return content;
    }

    private static Memfd Memory(ExportedBuffer buffer) => (Memfd)buffer.Handle;

    private static byte[] Read(ExportedBuffer buffer, ulong offset, int length)
    {
        var content = new byte[length];
        Assert.Equal(length, Memory(buffer).Read(offset, content));
        return content;
    }
}
