// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.Globalization;
using BarBroker.Linux;
using BarBroker.Linux.Pci;
using BarBroker.Linux.Vfio;

namespace BarBroker.Devices.Vfio;

/// <summary>An iommufd (<c>/dev/iommu</c>) with an empty address space, for devices that are opened by their own nodes (<c>/dev/vfio/devices/vfioN</c>).</summary>
/// <remarks>The devices of one group must be bound to the same iommufd: it claims the group's DMA (iommufd_device_bind).</remarks>
internal sealed class CharacterDeviceAccess : VfioAccess
{
    private readonly string _nodes;
    private readonly IommuFd _iommu;
    private readonly uint _addressSpace;

    private CharacterDeviceAccess(string nodes, IommuFd iommu, uint addressSpace)
    {
        _nodes = nodes;
        _iommu = iommu;
        _addressSpace = addressSpace;
    }

    public override VfioInterface Interface => VfioInterface.CharacterDevice;

    public static CharacterDeviceAccess Open(string nodes, string iommuPath, PciNode device)
    {
        IommuFd iommu;
        try
        {
            iommu = IommuFd.Open(iommuPath);
        }
        catch (LinuxException failure)
        {
            throw VfioAdvice.NodeFailed(failure, device);
        }

        try
        {
            return new CharacterDeviceAccess(nodes, iommu, iommu.AllocateAddressSpace());
        }
        catch
        {
            iommu.Dispose();
            throw;
        }
    }

    public override ImmutableArray<KeptFile> KeptFiles(string group) =>
        [new(string.Create(CultureInfo.InvariantCulture, $"{group}/iommu{_addressSpace}"), _iommu, IsShared: true)];

    /// <summary>With the file of an earlier run, which is taken over.</summary>
    /// <param name="part">What it was called by behind the group.</param>
    /// <exception cref="IOException">It is something else.</exception>
    public static CharacterDeviceAccess Restore(string nodes, string iommuPath, FileDescriptor iommu, string part) =>
        uint.TryParse(part.AsSpan("iommu".Length), NumberStyles.None, CultureInfo.InvariantCulture, out uint addressSpace)
            ? new CharacterDeviceAccess(nodes, IommuFd.Adopt(iommu, iommuPath), addressSpace)
            : throw new IOException($"{part} tells no address space");

    public override VfioDeviceFile OpenDevice(PciNode device)
    {
        string name = device.CharacterDevice
            ?? throw new IOException($"{device.Address} has no character device: the kernel is built without CONFIG_VFIO_DEVICE_CDEV. Open it by its group.");
        VfioDeviceFile file;
        try
        {
            file = VfioDeviceFile.Open(Path.Combine(_nodes, name), device.Address);
        }
        catch (LinuxException failure)
        {
            throw VfioAdvice.NodeFailed(failure, device);
        }

        try
        {
            Bind(file, device);
            Attach(file, device);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public override void HotReset(VfioDeviceFile device) => device.HotReset(group: null);

    public override void Dispose() => _iommu.Dispose();

    private void Bind(VfioDeviceFile file, PciNode device)
    {
        try
        {
            file.Bind(_iommu);
        }
        catch (LinuxException failure)
        {
            throw VfioAdvice.BindFailed(failure, device, _nodes);
        }
    }

    private void Attach(VfioDeviceFile file, PciNode device)
    {
        try
        {
            file.Attach(_addressSpace);
        }
        catch (LinuxException failure)
        {
            throw VfioAdvice.IommuFailed(failure, device);
        }
    }
}
