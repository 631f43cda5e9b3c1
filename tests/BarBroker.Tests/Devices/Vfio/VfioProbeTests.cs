// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Devices.Vfio;
using BarBroker.Linux;

namespace BarBroker.Tests.Devices.Vfio;

public sealed class VfioProbeTests
{
    private const ulong Page = 4096;

    [Fact]
    public void Run_StockKernel_EndsAllBuffersTogether()
    {
        var found = Probe(new FakeKernel { CanMapBuffers = false }.WithBar(2, 64 * Page));

        Assert.Equal(RevocationDomain.Device, found.Domain);
        Assert.Null(found.RevokeFeature);
        Assert.Null(found.MemoryAttributeFeature);
        Assert.Equal([new BarDescription(2, 64 * Page)], found.Bars);
    }

    [Theory]
    [InlineData(13, 14)]
    [InlineData(14, 15)]
    [InlineData(0xBA01, 0xBA02)]
    public void Run_ProposedKernel_FindsBothNumbers(int revoke, int attribute)
    {
        var found = Probe(new FakeKernel { RevokeFeature = revoke, AttributeFeature = attribute }.WithBar(0, Page));

        Assert.Equal(RevocationDomain.Selective, found.Domain);
        Assert.Equal(revoke, found.RevokeFeature);
        Assert.Equal(attribute, found.MemoryAttributeFeature);
        Assert.Empty(found.Misbehaved);
    }

    [Fact]
    public void Run_NothingToTry_SetsNothing()
    {
        var kernel = new FakeKernel { RevokeFeature = 13, AttributeFeature = 14 }.WithBar(0, Page);

        var found = new VfioProbe(kernel, [], [], Page).Run();

        Assert.Equal(RevocationDomain.Device, found.Domain);
        Assert.Empty(kernel.Set);
    }

    [Fact]
    public void Run_SettledNumbersConfigured_NeverSetsThem()
    {
        var kernel = new FakeKernel { CarelessFeature = 12 }.WithBar(0, Page);

        new VfioProbe(kernel, [3, 5, 12], [3, 5, 12], Page).Run();

        Assert.Empty(kernel.Set);
    }

    [Fact]
    public void Run_SomethingElseThatTakesAnything_IsReportedAndNotBelieved()
    {
        var found = Probe(new FakeKernel { CarelessFeature = 14 }.WithBar(0, Page));

        Assert.Equal(RevocationDomain.Device, found.Domain);
        Assert.Null(found.MemoryAttributeFeature);
        Assert.Contains(14, found.Misbehaved);
    }

    [Fact]
    public void Run_RevokeThatLeavesMappings_IsNotBelieved() =>
        AssertNotBelieved(new FakeKernel { RevokeFeature = 13, RevokeLeavesMappings = true });

    [Fact]
    public void Run_RevokeThatTakesOtherBuffers_IsNotBelieved() =>
        AssertNotBelieved(new FakeKernel { RevokeFeature = 13, RevokeTakesAll = true });

    [Fact]
    public void Run_RevokeThatSucceedsTwice_IsNotBelieved() =>
        AssertNotBelieved(new FakeKernel { RevokeFeature = 13, RevokeNeverTellsAgain = true });

    [Fact]
    public void Run_NoExport_IsNotServedAndSaysWhy()
    {
        var kernel = new FakeKernel { DmaBuf = Errno.ENOTTY, RevokeFeature = 13 }.WithBar(0, Page);

        var found = Probe(kernel);

        Assert.Equal(RevocationDomain.None, found.Domain);
        Assert.Contains("needs Linux 6.19 or newer", found.Detail, StringComparison.Ordinal);
        Assert.Equal(0, kernel.Exported);
    }

    [Fact]
    public void Run_OtherError_Throws() => Assert.Throws<LinuxException>(() => Probe(new FakeKernel { DmaBuf = Errno.EIO }.WithBar(0, Page)));

    [Fact]
    public void Run_BarsBelowAPage_AreNotServed()
    {
        var found = Probe(new FakeKernel().WithBar(0, 0x100));

        Assert.Equal(RevocationDomain.None, found.Domain);
        Assert.Contains("no memory BAR of at least 4096 bytes", found.Detail, StringComparison.Ordinal);
    }

    private static void AssertNotBelieved(FakeKernel kernel)
    {
        var found = Probe(kernel.WithBar(0, Page));

        Assert.Equal(RevocationDomain.Device, found.Domain);
        Assert.Equal([13], found.Misbehaved);
    }

    private static VfioCapabilities Probe(FakeKernel kernel) =>
        new VfioProbe(kernel, VfioDeviceOptions.DefaultRevokeFeatures, VfioDeviceOptions.DefaultMemoryAttributeFeatures, Page).Run();
}
