// SPDX-License-Identifier: Apache-2.0

using BarBroker.Cli.Binding;
using BarBroker.V1;

namespace BarBroker.Cli.Tests.Binding;

/// <summary>Every reason to leave a device alone, with its way out.</summary>
public sealed class ObstacleTests : BindingTestBase
{
    private const string Disk = "nvme/nvme0/nvme0n1";

    [Fact]
    public void Bind_NoSuchDevice_Refused() => AssertRefused(Bind(), "no such PCI device");

    [Fact]
    public void Bind_Bridge_Refused()
    {
        Kernel.AddDevice(Address, "pcieport", code: "0604");

        AssertRefused(Bind(), "PCI bridge");
    }

    [Fact]
    public void Bind_BootDisplay_Refused()
    {
        Kernel.AddDevice(Address, "amdgpu", code: "0300");
        Kernel.Put($"sys/devices/pci0000:00/{Address}/boot_vga", "1\n");

        AssertRefused(Bind(), "the machine's console");
    }

    [Fact]
    public void Bind_NoIommu_RefusedWithHowToSwitchItOn()
    {
        Kernel.AddDevice(Address, group: null);

        AssertRefused(Bind(), "intel_iommu=on");
    }

    [Fact]
    public void Bind_VirtualFunctions_Refused()
    {
        Kernel.AddDevice(Address, "mlx5_core", code: "0100");
        Kernel.Put($"sys/devices/pci0000:00/{Address}/sriov_numvfs", "4\n");

        AssertRefused(Bind(), "4 virtual functions");
    }

    [Fact]
    public void Bind_DiskMounted_RefusedForEachMount()
    {
        AddDisk();
        Kernel.Put("proc/self/mountinfo",
            $"31 1 259:1 / /srv/big\\040data rw,relatime shared:1 - ext4 {Kernel.In("dev/nvme0n1p1")} rw\n32 1 0:40 / /home rw - btrfs {Kernel.In("dev/nvme0n1")} rw\n");

        AssertRefused(Bind(), "nvme0n1p1 is mounted on /srv/big data: `umount", "nvme0n1 is mounted on /home");
    }

    [Fact]
    public void Bind_Swap_Refused()
    {
        AddDisk();
        Kernel.Put("proc/swaps", $"Filename Type Size Used Priority\n{Kernel.In("dev/nvme0n1p1")}  partition\t1048572\t0\t-2\n");

        AssertRefused(Bind(), "nvme0n1p1 is swap: `swapoff");
    }

    [Fact]
    public void Bind_PartOfAVolume_RefusedWithItsName()
    {
        AddDisk();
        Kernel.Put("sys/devices/virtual/block/dm-0/dm/name", "vg0-root\n");
        Kernel.Link($"sys/devices/pci0000:00/{Address}/{Disk}/nvme0n1p1/holders/dm-0", Kernel.In("sys/devices/virtual/block/dm-0"));

        AssertRefused(Bind(), "nvme0n1p1 is part of dm-0 (vg0-root)");
    }

    [Fact]
    public void Bind_SharedNvmeDiskMounted_Refused()
    {
        Kernel.AddDevice(Address, "nvme", code: "0108");
        Kernel.AddNode(Address, "nvme/nvme0", "nvme", "240:0");
        string subsystem = "sys/devices/virtual/nvme-subsystem/nvme-subsys0";
        Kernel.Link($"{subsystem}/nvme0", Kernel.In($"sys/devices/pci0000:00/{Address}/nvme/nvme0"));
        Kernel.Link($"{subsystem}/nvme0n1/subsystem", Kernel.In("sys/class/block"));
        Kernel.Put($"{subsystem}/nvme0n1/dev", "259:7\n");
        Kernel.Put($"{subsystem}/nvme0n1/uevent", "DEVNAME=nvme0n1\n");
        Kernel.Link("sys/class/nvme-subsystem/nvme-subsys0", Kernel.In(subsystem));
        Kernel.Put("proc/self/mountinfo", "31 1 259:7 / / rw - ext4 /dev/root rw\n");

        AssertRefused(Bind(), "nvme0n1 is mounted on /");
    }

    [Fact]
    public void Bind_NodeOpen_RefusedWithTheProcess()
    {
        AddDisk();
        Kernel.AddProcess(1234, "qemu-system-x86", Kernel.In("dev/nvme0n1"));

        AssertRefused(Bind(), "nvme0n1 is open in process 1234 (qemu-system-x86)");
    }

    [Theory]
    [InlineData("0x1003", "eth0 is up: `ip link set eth0 down`")]
    [InlineData("0x1002", null)]
    public void Bind_Interface_RefusedOnlyWhenUp(string flags, string? reason)
    {
        AddInterface(flags);

        var document = Bind();

        if (reason is null)
        {
            Assert.Equal("bound", document.Result);
        }
        else
        {
            AssertRefused(document, reason);
        }
    }

    [Fact]
    public void Bind_InterfaceOfABridgeUnderAVlanWithAnAddress_RefusedForEach()
    {
        string directory = AddInterface("0x1002");
        Kernel.Link($"{directory}/master", "../../../br0");
        Kernel.Link($"{directory}/upper_br0", "../../../br0");
        Kernel.Link($"{directory}/upper_vlan5", "../../../vlan5");
        IpAddresses = ["10.0.0.1"];

        AssertRefused(Bind(), "eth0 belongs to br0", "vlan5 is built on the network interface eth0", "eth0 has the address 10.0.0.1");
    }

    [Fact]
    public void Bind_NetworkCardWithoutInterfaceHere_Refused()
    {
        Kernel.AddDevice(Address, "e1000");

        AssertRefused(Bind(), "perhaps in a container");
    }

    [Fact]
    public void Unbind_OpenThroughVfio_RefusedWithTheProcess()
    {
        AddVfio(enabled: 1);
        Kernel.AddProcess(77, "vfiohold", Kernel.In("dev/vfio/7"));

        AssertRefused(Unbind(), "in use through vfio by process 77 (vfiohold)");
    }

    [Theory]
    [InlineData("anon_inode:[vfio-device]")]
    [InlineData("/dev/vfio/devices/vfio0")]
    [InlineData("/vfio/devices/vfio0")]
    public void Unbind_DeviceFileOpenAndTheGroupToo_NamesThoseOfTheDevice(string file)
    {
        AddVfio(enabled: 1);
        Kernel.AddProcess(77, "neighbour", Kernel.In("dev/vfio/7"));
        Kernel.AddProcess(78, "vfiohold", file);
        Kernel.Put("proc/78/fdinfo/5", $"pos:\t0\nvfio-device-syspath: {Kernel.In($"sys/devices/pci0000:00/{Address}")}\n");

        AssertRefused(Unbind(), "in use through vfio by process 78 (vfiohold), and");
    }

    [Fact]
    public void Unbind_OpenedByNobodySeen_Refused()
    {
        AddVfio(enabled: 1);

        AssertRefused(Unbind(), "by a process that cannot be seen from here");
    }

    [Fact]
    public void Unbind_OnlyTheGroupOpen_Refused()
    {
        AddVfio(enabled: 0);
        Kernel.AddProcess(77, "qemu", Kernel.In("dev/vfio/7"));

        AssertRefused(Unbind(), "IOMMU group 7 is open by process 77 (qemu)");
    }

    [Theory]
    [InlineData(DeviceState.Ready, 0, true)]
    [InlineData(DeviceState.Cordoned, 2, true)]
    [InlineData(DeviceState.Cordoned, 0, false)]
    public void Unbind_OpenInTheBroker_RefusedUnlessDrained(DeviceState state, uint leases, bool refused)
    {
        AddVfio(enabled: 1);
        Kernel.AddProcess(99, "barbrokerd", Kernel.In("dev/vfio/7"));
        Broker = new BrokerState(99, [new Device { Name = "nvme0", Address = Address, State = state, Leases = leases }]);

        var document = Unbind();

        if (refused)
        {
            AssertRefused(document, "the broker (process 99) serves it as nvme0, with " + leases + " leases: `barctl device drain nvme0` first");
        }
        else
        {
            Assert.Equal("unbound", document.Result);
        }
    }

    private void AddDisk()
    {
        Kernel.AddDevice(Address, "nvme", code: "0108");
        Kernel.AddNode(Address, "nvme/nvme0", "nvme", "240:0");
        Kernel.AddNode(Address, Disk, "block", "259:0");
        Kernel.AddNode(Address, $"{Disk}/nvme0n1p1", "block", "259:1");
    }

    private string AddInterface(string flags)
    {
        Kernel.AddDevice(Address, "virtio-pci");
        string directory = Kernel.AddNode(Address, "virtio0/net/eth0", "net");
        Kernel.Put($"{directory}/flags", flags + "\n");
        return directory;
    }

    private void AddVfio(int enabled)
    {
        Kernel.AddDevice(Address, "vfio-pci");
        Kernel.Put($"sys/devices/pci0000:00/{Address}/enable", $"{enabled}\n");
    }
}
