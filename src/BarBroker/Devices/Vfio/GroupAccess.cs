// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
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

    public override ImmutableArray<KeptFile> KeptFiles(string group) =>
        [new($"{group}/group", _group, IsShared: true), new($"{group}/container", _container, IsShared: true)];

    /// <summary>With the files of an earlier run, which are taken over.</summary>
    /// <exception cref="IOException">One of them was not kept, or is something else.</exception>
    public static GroupAccess Restore(string groupPath, string containerPath, FileDescriptor? group, FileDescriptor? container)
    {
        if (group is null || container is null)
        {
            throw new IOException($"the files of {groupPath} were not kept");
        }

        var adopted = VfioGroup.Adopt(group, groupPath);
        try
        {
            return new GroupAccess(adopted, VfioContainer.Adopt(container, containerPath));
        }
        catch
        {
            adopted.Dispose();
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
