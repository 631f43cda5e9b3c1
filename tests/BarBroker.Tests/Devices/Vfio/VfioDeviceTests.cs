// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Devices.Vfio;
using BarBroker.Linux;
using BarBroker.Linux.Pci;

namespace BarBroker.Tests.Devices.Vfio;

/// <summary>What a machine without VFIO can show: the refusals that sysfs tells, and that they leave nothing behind. The rest is in tests/vm/guest/t-vfio-device.sh.</summary>
public sealed class VfioDeviceTests : IDisposable
{
    private const string Address = "0000:01:00.0";

    private readonly FakeSysfs _sysfs = new();

    [Fact]
    public void Open_NoSuchDevice_NamesIt() => Assert.Contains("no PCI device 0000:01:00.0", Refusal(), StringComparison.Ordinal);

    [Fact]
    public void Open_IommuOff_SaysHowToSwitchItOn()
    {
        _sysfs.AddDevice(Address, driver: "vfio-pci", vfioName: "vfio0");

        Assert.Contains("the IOMMU is off. Switch it on in the firmware (VT-d, AMD-Vi, SMMU) and, on Intel, with intel_iommu=on", Refusal(), StringComparison.Ordinal);
    }

    [Fact]
    public void Open_NoIommuMode_IsRefused()
    {
        _sysfs.AddDevice(Address, driver: "vfio-pci", group: "7", vfioName: "vfio0");
        _sysfs.SetGroupName("7", "vfio-noiommu");

        Assert.Contains("no-IOMMU mode", Refusal(), StringComparison.Ordinal);
    }

    [Fact]
    public void Open_OtherDriver_NamesItAndTheCommand()
    {
        _sysfs.AddDevice(Address, driver: "nvme", group: "7");

        string refusal = Refusal();

        Assert.Contains("0000:01:00.0 (1af4:1110) is bound to the driver nvme, not to vfio-pci", refusal, StringComparison.Ordinal);
        Assert.EndsWith("To bind it: `barctl device bind 0000:01:00.0`", refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_NoDriver_SaysSo()
    {
        _sysfs.AddDevice(Address, group: "7");

        Assert.Contains("is bound to no driver", Refusal(), StringComparison.Ordinal);
    }

    [Fact]
    public void Open_NoGroupNode_NamesItAndTheModules()
    {
        _sysfs.AddDevice(Address, driver: "vfio-pci", group: "7", vfioName: "vfio0");

        string refusal = Refusal();

        Assert.Contains($"{_sysfs.Dev}/vfio/7 does not exist; load the modules vfio-pci and vfio_iommu_type1", refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_VariantDriver_IsTakenForOne()
    {
        _sysfs.AddDevice(Address, driver: "mlx5_vfio_pci", group: "7", vfioName: "vfio0");

        Assert.Contains("/vfio/7 does not exist", Refusal(), StringComparison.Ordinal);
    }

    [Fact]
    public void Open_CharacterDeviceAskedForAndMissing_SaysSo()
    {
        _sysfs.AddDevice(Address, driver: "vfio-pci", group: "7", vfioName: "vfio0");

        Assert.Contains("/iommu does not exist", Refusal(VfioInterface.CharacterDevice), StringComparison.Ordinal);
    }

    [Fact]
    public void Open_CharacterDeviceAndIommufdThere_PrefersThem()
    {
        _sysfs.AddDevice(Address, driver: "vfio-pci", group: "7", vfioName: "vfio0", characterDevice: true);
        Directory.CreateDirectory(Path.Combine(_sysfs.Dev, "vfio/devices"));
        File.WriteAllText(Path.Combine(_sysfs.Dev, "vfio/devices/vfio0"), "");
        File.WriteAllText(Path.Combine(_sysfs.Dev, "iommu"), "");

        Assert.Contains("IOMMU_IOAS_ALLOC", Refusal(), StringComparison.Ordinal);
        Assert.Contains($"{_sysfs.Dev}/vfio/7 does not exist", Refusal(VfioInterface.Group), StringComparison.Ordinal);
    }

    [Fact]
    public void Open_FailsInTheKernel_NamesTheCallAndLeaksNothing()
    {
        _sysfs.AddDevice(Address, driver: "vfio-pci", group: "7", vfioName: "vfio0");
        _sysfs.AddGroupNode("7");
        File.WriteAllText(Path.Combine(_sysfs.Dev, "vfio/vfio"), "");
        string first = Refusal();

        string second = Refusal();

        Assert.StartsWith("VFIO_GET_API_VERSION on", first, StringComparison.Ordinal);
        Assert.Equal(first, second);
        Assert.DoesNotContain(
            new DirectoryInfo("/proc/self/fd").GetFiles(), entry => entry.LinkTarget?.StartsWith(_sysfs.Dev, StringComparison.Ordinal) is true);
    }

    [Fact]
    public void Close_NeverOpened_DoesNothing()
    {
        using var device = Device();

        device.Close();

        Assert.Null(device.Description);
    }

    [Fact]
    public void Export_NotOpen_Throws()
    {
        using var device = Device();

        Assert.Throws<InvalidOperationException>(() => device.Export(0, [new BarRange(0, 4096)], BufferAccess.ReadWrite, MemoryAttribute.NonCached));
    }

    [Fact]
    public void NotViable_NeighbourWithADriver_IsNamedAloneWithTheCommands()
    {
        _sysfs.AddDevice(Address, driver: "vfio-pci", group: "7", vfioName: "vfio0");
        _sysfs.AddDevice("0000:01:00.1", driver: "snd_hda_intel", group: "7");
        _sysfs.AddDevice("0000:01:00.2", driver: "vfio-pci", group: "7", vfioName: "vfio1");
        _sysfs.AddDevice("0000:01:00.3", group: "7");
        _sysfs.AddDevice("0000:00:01.0", driver: "pcieport", group: "7");

        string message = VfioAdvice.NotViable(new PciNode(_sysfs.Sys, Address)).Message;

        Assert.Contains("IOMMU group 7 also holds 0000:01:00.1 (1af4:1110) with the driver snd_hda_intel, and", message, StringComparison.Ordinal);
        Assert.Contains("`barctl device bind 0000:01:00.1`", message, StringComparison.Ordinal);
        Assert.DoesNotContain("0000:01:00.2", message, StringComparison.Ordinal);
        Assert.DoesNotContain("0000:01:00.3", message, StringComparison.Ordinal);
        Assert.DoesNotContain("0000:00:01.0", message, StringComparison.Ordinal);
    }

    [Fact]
    public void NotViable_NobodyToBlame_ListsTheNeighbours()
    {
        _sysfs.AddDevice(Address, driver: "vfio-pci", group: "7", vfioName: "vfio0");
        _sysfs.AddDevice("0000:01:00.3", group: "7");

        string message = VfioAdvice.NotViable(new PciNode(_sysfs.Sys, Address)).Message;

        Assert.Contains("its other devices are 0000:01:00.3 (1af4:1110) without a driver", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Errno.EBUSY, 0, "dev/vfio/7 is in use by")]
    [InlineData(Errno.EBUSY, 1, "dev/vfio/7 is in use by")]
    [InlineData(Errno.EINVAL, 1, "dev/vfio/devices/vfio0 is in use by")]
    public void BindFailed_SomebodyHasTheDeviceOrItsGroup_NamesTheNodeThatIsHeld(Errno errno, int enabled, string message)
    {
        var failure = Bind(errno, enabled);

        Assert.Contains(message, failure.Message, StringComparison.Ordinal);
        Assert.EndsWith("only one can have it.", failure.Message, StringComparison.Ordinal);
        Assert.Equal(errno, Assert.IsType<LinuxException>(failure.InnerException).Errno);
    }

    [Fact]
    public void BindFailed_InvalidAndNobodyHasIt_IsTheKernelsAnswerAndBlamesNobody()
    {
        string message = Bind(Errno.EINVAL, enabled: 0).Message;

        Assert.Contains("VFIO_DEVICE_BIND_IOMMUFD on 0000:01:00.0: Invalid argument (EINVAL)", message, StringComparison.Ordinal);
        Assert.DoesNotContain("in use", message, StringComparison.Ordinal);
    }

    [Fact]
    public void BindFailed_NotPermitted_BlamesTheNeighbourOrElseTheInterrupts()
    {
        Assert.Contains("switch on interrupt remapping", Bind(Errno.EPERM, enabled: 0).Message, StringComparison.Ordinal);

        _sysfs.AddDevice("0000:01:00.1", driver: "snd_hda_intel", group: "7");
        Assert.Contains("`barctl device bind 0000:01:00.1`", VfioAdvice.BindFailed(Failure(Errno.EPERM), new PciNode(_sysfs.Sys, Address), Path.Combine(_sysfs.Dev, "vfio/devices")).Message, StringComparison.Ordinal);
    }

    public void Dispose() => _sysfs.Dispose();

    private IOException Bind(Errno errno, int enabled)
    {
        _sysfs.AddDevice(Address, driver: "vfio-pci", group: "7", vfioName: "vfio0", characterDevice: true);
        _sysfs.SetEnabled(Address, enabled);
        return VfioAdvice.BindFailed(Failure(errno), new PciNode(_sysfs.Sys, Address), Path.Combine(_sysfs.Dev, "vfio/devices"));
    }

    private static LinuxException Failure(Errno errno) => new("VFIO_DEVICE_BIND_IOMMUFD", Address, errno);

    private VfioDevice Device(VfioInterface way = VfioInterface.Automatic) =>
        new(new VfioDeviceOptions("dev0", Address) { SysfsRoot = _sysfs.Sys, DevRoot = _sysfs.Dev, Interface = way });

    private string Refusal(VfioInterface way = VfioInterface.Automatic)
    {
        using var device = Device(way);
        var exception = Assert.ThrowsAny<IOException>(device.Open);
        device.Close();
        Assert.Null(device.Description);
        return exception is LinuxException failure ? failure.Message : exception.Message;
    }
}
