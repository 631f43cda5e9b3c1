// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.Globalization;

namespace BarBroker.Linux.Pci;

/// <summary>A PCI function as sysfs shows it at the moment of asking.</summary>
public sealed class PciNode(string sysfsRoot, string address)
{
    private const uint BridgeClass = 0x0604;

    /// <summary>Drivers that hold a device of a group without doing DMA (their <c>driver_managed_dma</c> in the kernel's source).</summary>
    private static readonly string[] _harmlessDrivers = ["pci-stub", "pcieport", "xen-pciback"];

    private readonly string _path = Path.Combine(sysfsRoot, "bus/pci/devices", address);

    public string Address { get; } = address;

    public bool Exists => Directory.Exists(_path);

    /// <summary>Where the device itself is, in /sys/devices; what it has made, such as disks, is below.</summary>
    public string RealPath => new FileInfo(_path).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? Path.GetFullPath(_path);

    /// <summary>The driver's name, null if none is bound.</summary>
    public string? Driver => LinkName("driver");

    /// <summary>The one driver that may have the device, null if any that knows it may.</summary>
    public string? DriverOverride => ReadText("driver_override") is { Length: > 0 } name && name != "(null)" ? name : null;

    /// <summary>Base class and sub-class, such as 0x0108 for a non-volatile memory controller; null if unknown.</summary>
    public uint? Class => uint.TryParse(Hex("class"), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint code) ? code >> 8 : null;

    public bool IsBridge => Class == BridgeClass;

    /// <summary>Whether the firmware uses it as the machine's screen.</summary>
    public bool IsBootDisplay => ReadText("boot_vga") == "1";

    /// <summary>How the kernel can reset the function alone, in the order in which it tries, such as "flr bus"; null if it cannot, or does not tell (before Linux 5.15).</summary>
    public string? ResetMethods => ReadText("reset_method") is { Length: > 0 } methods ? methods : null;

    /// <summary>How many virtual functions its driver has made of it.</summary>
    public int VirtualFunctions => int.TryParse(ReadText("sriov_numvfs"), CultureInfo.InvariantCulture, out int count) ? count : 0;

    /// <summary>By which modprobe finds the module that drives such devices; null if unknown.</summary>
    public string? ModuleAlias => ReadText("modalias");

    /// <summary>Whether, because of its driver, no other device of its IOMMU group can be opened.</summary>
    public bool BlocksGroup => Driver is { } driver && !HasVfioDevice && !_harmlessDrivers.Contains(driver, StringComparer.Ordinal);

    /// <summary>Vendor and device, such as 1af4:1110.</summary>
    public string Id => $"{Hex("vendor")}:{Hex("device")}";

    /// <summary>The same as numbers, null if unknown.</summary>
    public (ushort Vendor, ushort Device)? Ids =>
        ushort.TryParse(Hex("vendor"), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ushort vendor)
        && ushort.TryParse(Hex("device"), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ushort device)
            ? (vendor, device)
            : null;

    /// <summary>The number of the IOMMU group, null if the device has none.</summary>
    public string? Group => LinkName("iommu_group");

    /// <summary>The group is made up by vfio's no-IOMMU mode: nothing isolates the device (vfio_noiommu_group_alloc).</summary>
    public bool IsNoIommu => ReadText("iommu_group/name") == "vfio-noiommu";

    /// <summary>Whether the driver is vfio-pci or a variant of it: those, and only those, have made a vfio device of it (Linux 6.1).</summary>
    public bool HasVfioDevice => VfioDeviceName is not null;

    /// <summary>The name of its character device in /dev/vfio/devices, null where the kernel has none of those.</summary>
    public string? CharacterDevice => VfioDeviceName is { } name && File.Exists(Path.Combine(_path, "vfio-dev", name, "dev")) ? name : null;

    /// <summary>
    /// How often drivers have enabled the function and not disabled it again (pci_dev.enable_cnt), null if the function is gone.
    /// </summary>
    public int? EnableCount => int.TryParse(ReadText("enable"), CultureInfo.InvariantCulture, out int count) ? count : null;

    /// <summary>The other functions in its IOMMU group.</summary>
    public ImmutableArray<PciNode> Neighbours()
    {
        string devices = Path.Combine(_path, "iommu_group/devices");
        return !Directory.Exists(devices)
            ? []
            : [.. Directory.EnumerateFileSystemEntries(devices)
                .Select(static path => Path.GetFileName(path))
                .Where(name => name != Address)
                .Order(StringComparer.Ordinal)
                .Select(name => new PciNode(sysfsRoot, name))];
    }

    /// <summary>The path of one of its attributes.</summary>
    public string Attribute(string name) => Path.Combine(_path, name);

    /// <summary>Such as <c>0000:01:00.0 (8086:100e) with the driver e1000</c>.</summary>
    public override string ToString() => Driver is { } driver ? $"{Address} ({Id}) with the driver {driver}" : $"{Address} ({Id}) without a driver";

    private string? VfioDeviceName
    {
        get
        {
            string directory = Path.Combine(_path, "vfio-dev");
            return Directory.Exists(directory) ? Directory.EnumerateDirectories(directory).Select(Path.GetFileName).FirstOrDefault() : null;
        }
    }

    private string? LinkName(string name) =>
        new FileInfo(Path.Combine(_path, name)).LinkTarget is { } target ? Path.GetFileName(target) : null;

    private string Hex(string name) => ReadText(name) is { Length: > 2 } text ? text[2..] : "?";

    private string? ReadText(string name)
    {
        try
        {
            return File.ReadAllText(Path.Combine(_path, name)).Trim();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
