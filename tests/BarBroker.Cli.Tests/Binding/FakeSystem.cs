// SPDX-License-Identifier: Apache-2.0

using BarBroker.Cli.Binding;
using BarBroker.Linux;
using BarBroker.Linux.Pci;

namespace BarBroker.Cli.Tests.Binding;

/// <summary>Files and links that look like the parts of /sys, /proc, /dev and /etc that binding goes by, and a kernel that answers writes to them.</summary>
internal sealed class FakeSystem : IAttributeWriter, IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("barbroker-pci-").FullName;

    public FakeSystem()
    {
        Roots = new SystemRoots(In("sys"), In("proc"), In("dev"), In("etc"));
        Put("proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
        Put("proc/self/mountinfo", "22 1 0:21 / /proc rw - proc proc rw\n");
        Directory.CreateDirectory(In("sys/bus/pci/devices"));
        AddDriver("vfio-pci");
    }

    public SystemRoots Roots { get; }

    /// <summary>What was written, in order, as <c>file below the bus: text</c>.</summary>
    public List<string> Writes { get; } = [];

    /// <summary>Drivers whose probe fails.</summary>
    public HashSet<string> Refusing { get; } = [];

    /// <summary>Which driver takes a device that has no override when it is offered.</summary>
    public string? Native { get; set; } = "e1000";

    /// <summary>Called before an unbind returns.</summary>
    public Action? Unbinding { get; set; }

    public string In(string path) => Path.Combine(_root, path);

    public void Put(string path, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(In(path))!);
        File.WriteAllText(In(path), text);
    }

    public void Link(string path, string target)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(In(path))!);
        File.CreateSymbolicLink(In(path), target);
    }

    public void AddDriver(string name) => Directory.CreateDirectory(In($"sys/bus/pci/drivers/{name}"));

    /// <summary>Adds a device; <paramref name="code"/> is its class as lspci -n has it.</summary>
    public PciNode AddDevice(string address, string? driver = null, string? group = "7", string code = "0200")
    {
        string device = $"sys/devices/pci0000:00/{address}";
        Put($"{device}/vendor", "0x8086\n");
        Put($"{device}/device", "0x100e\n");
        Put($"{device}/class", $"0x{code}00\n");
        Put($"{device}/enable", "0\n");
        Put($"{device}/driver_override", "(null)\n");
        Link($"sys/bus/pci/devices/{address}", $"../../../devices/pci0000:00/{address}");
        if (group is not null)
        {
            Link($"{device}/iommu_group", In($"sys/kernel/iommu_groups/{group}"));
            Link($"sys/kernel/iommu_groups/{group}/devices/{address}", In(device));
        }

        if (driver is not null)
        {
            AddDriver(driver);
            SetDriver(address, driver);
        }

        return new PciNode(Roots.Sys, address);
    }

    /// <summary>Adds what a driver made of a device, such as <c>nvme/nvme0/nvme0n1</c>, with a node in /dev of its name.</summary>
    public string AddNode(string address, string path, string subsystem, string? number = null)
    {
        string directory = $"sys/devices/pci0000:00/{address}/{path}";
        Link($"{directory}/subsystem", In($"sys/class/{subsystem}"));
        if (number is not null)
        {
            Put($"{directory}/dev", number + "\n");
            Put($"{directory}/uevent", $"MAJOR={number.Split(':')[0]}\nDEVNAME={Path.GetFileName(path)}\n");
            Put($"dev/{Path.GetFileName(path)}", "");
        }

        return directory;
    }

    public void AddProcess(int pid, string name, string openFile)
    {
        Put($"proc/{pid}/comm", name + "\n");
        Link($"proc/{pid}/fd/5", openFile);
    }

    public void Write(string path, string text)
    {
        Writes.Add($"{Path.GetRelativePath(In("sys/bus/pci"), path)}: {text.Trim()}");
        string file = Path.GetFileName(path);
        string driver = Path.GetFileName(Path.GetDirectoryName(path)!);
        switch (file)
        {
            case "driver_override":
                File.WriteAllText(path, text.Trim().Length == 0 ? "(null)\n" : text + "\n");
                break;
            case "unbind":
                Unbinding?.Invoke();
                SetDriver(text, null);
                break;
            case "bind":
                Bind(path, text, driver);
                break;
            case "drivers_probe" when new PciNode(Roots.Sys, text).DriverOverride is null && Native is not null:
                SetDriver(text, Native);
                break;
        }
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private void Bind(string path, string address, string driver)
    {
        if (Refusing.Contains(driver))
        {
            throw new LinuxException($"writing '{address}'", path, Errno.EINVAL);
        }

        SetDriver(address, driver);
    }

    private void SetDriver(string address, string? driver)
    {
        string device = In($"sys/devices/pci0000:00/{address}");
        File.Delete(Path.Combine(device, "driver"));
        string vfio = Path.Combine(device, "vfio-dev");
        if (Directory.Exists(vfio))
        {
            Directory.Delete(vfio, recursive: true);
        }

        if (driver is not null)
        {
            File.CreateSymbolicLink(Path.Combine(device, "driver"), $"../../../bus/pci/drivers/{driver}");
        }

        if (driver?.StartsWith("vfio", StringComparison.Ordinal) is true)
        {
            Directory.CreateDirectory(Path.Combine(vfio, "vfio0"));
        }
    }
}
