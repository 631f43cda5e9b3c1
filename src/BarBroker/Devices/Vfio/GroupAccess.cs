// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux;
using BarBroker.Linux.Pci;
using BarBroker.Linux.Vfio;

namespace BarBroker.Devices.Vfio;

/// <summary>A group (<c>/dev/vfio/N</c>) in a type1 container of its own (<c>/dev/vfio/vfio</c>).</summary>
internal sealed class GroupAccess : VfioAccess
{
    private readonly VfioGroup _group;
    private readonly VfioContainer _container;

    private GroupAccess(VfioGroup group, VfioContainer container)
    {
        _group = group;
        _container = container;
    }

    public override VfioInterface Interface => VfioInterface.Group;

    public static GroupAccess Open(string groupPath, string containerPath, PciNode device)
    {
        VfioGroup? group = null;
        VfioContainer? container = null;
        try
        {
            group = VfioGroup.Open(groupPath);
            container = VfioContainer.Open(containerPath);
            if (!group.IsViable())
            {
                throw VfioAdvice.NotViable(device);
            }

            TakeIommu(group, container, device);
            return new GroupAccess(group, container);
        }
        catch (Exception exception)
        {
            group?.Dispose();
            container?.Dispose();
            if (exception is LinuxException { Call: "open" } failure)
            {
                throw VfioAdvice.NodeFailed(failure, device);
            }

            throw;
        }
    }

    public override VfioDeviceFile OpenDevice(PciNode device) => _group.OpenDevice(device.Address);

    public override void HotReset(VfioDeviceFile device) => device.HotReset(_group);

    /// <remarks>The group leaves its container when it is closed; then the container is empty and goes.</remarks>
    public override void Dispose()
    {
        _group.Dispose();
        _container.Dispose();
    }

    private static void TakeIommu(VfioGroup group, VfioContainer container, PciNode device)
    {
        if (!container.HasType1V2())
        {
            throw new IOException($"{device.Address}: the kernel offers no type1 v2 IOMMU for vfio; load the module vfio_iommu_type1.");
        }

        try
        {
            group.SetContainer(container);
            container.SetType1V2();
        }
        catch (LinuxException failure)
        {
            throw VfioAdvice.IommuFailed(failure, device);
        }
    }
}
