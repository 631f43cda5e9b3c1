// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Tests.Devices.Vfio;

/// <summary>A tree of files that looks like the part of /sys and /dev that VFIO devices are found in.</summary>
internal sealed class FakeSysfs : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("barbroker-sysfs-").FullName;

    public FakeSysfs()
    {
        Directory.CreateDirectory(Sys);
        Directory.CreateDirectory(Path.Combine(Dev, "vfio"));
    }

    public string Sys => Path.Combine(_root, "sys");

    public string Dev => Path.Combine(_root, "dev");

    public string Of(string address) => Path.Combine(Sys, "bus/pci/devices", address);

    public void AddDevice(string address, string? driver = null, string? group = null, string? vfioName = null, bool characterDevice = false)
    {
        string device = Of(address);
        Directory.CreateDirectory(device);
        File.WriteAllText(Path.Combine(device, "vendor"), "0x1af4\n");
        File.WriteAllText(Path.Combine(device, "device"), "0x1110\n");
        SetEnabled(address, 0);
        if (driver is not null)
        {
            File.CreateSymbolicLink(Path.Combine(device, "driver"), $"../../../../bus/pci/drivers/{driver}");
        }

        if (group is not null)
        {
            string members = Path.Combine(Sys, "kernel/iommu_groups", group, "devices");
            Directory.CreateDirectory(members);
            File.CreateSymbolicLink(Path.Combine(members, address), device);
            File.CreateSymbolicLink(Path.Combine(device, "iommu_group"), Path.Combine(Sys, "kernel/iommu_groups", group));
        }

        if (vfioName is not null)
        {
            string name = Path.Combine(device, "vfio-dev", vfioName);
            Directory.CreateDirectory(name);
            if (characterDevice)
            {
                File.WriteAllText(Path.Combine(name, "dev"), "511:0\n");
            }
        }
    }

    public void SetGroupName(string group, string name) => File.WriteAllText(Path.Combine(Sys, "kernel/iommu_groups", group, "name"), name + "\n");

    public void SetEnabled(string address, int times) => File.WriteAllText(Path.Combine(Of(address), "enable"), $"{times}\n");

    /// <summary>The class directory that a kernel with groups has, with or without this group.</summary>
    public void AddGroupClass(string? group = null) => Directory.CreateDirectory(Path.Combine(Sys, "class/vfio", group ?? ""));

    /// <summary>A file where the group's node should be; nothing of vfio works on it.</summary>
    public void AddGroupNode(string group) => File.WriteAllText(Path.Combine(Dev, "vfio", group), "");

    public void Dispose() => Directory.Delete(_root, recursive: true);
}
