// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using BarBroker.Linux;
using BarBroker.Linux.Vfio;

namespace BarBroker.Devices.Vfio;

/// <summary>
/// What the devices of one IOMMU group share in this process. The kernel lets a group be open once (vfio_group_fops_open answers EBUSY), and, by the newer
/// interface, belong to one iommufd; so the first device of the group opens them and the last one closes them.
/// </summary>
/// <remarks>
/// Nothing here waits for a device: a device file is closed before its use of the group is given back. (In the kernel, closing a device file holds its
/// group's lock, so a close that is stuck also holds up opening another device of the same group. Nothing done here could change that.)
/// </remarks>
internal sealed class VfioGroupSlot
{
    // Never shrinks: a machine has a bounded number of groups.
    private static readonly ConcurrentDictionary<string, VfioGroupSlot> _slots = new(StringComparer.Ordinal);

    private readonly Lock _gate = new();
    private readonly string _groupPath;
    private readonly string _containerPath;
    private readonly string _iommuPath;
    private int _users;
    private VfioGroup? _group;
    private VfioContainer? _container;
    private IommuFd? _iommu;
    private uint _addressSpace;

    private VfioGroupSlot(string devRoot, string group)
    {
        _groupPath = Path.Combine(devRoot, "vfio", group);
        _containerPath = Path.Combine(devRoot, "vfio/vfio");
        _iommuPath = Path.Combine(devRoot, "iommu");
    }

    public static VfioGroupSlot Of(string devRoot, string group) =>
        _slots.GetOrAdd($"{devRoot}\n{group}", static (_, parts) => new VfioGroupSlot(parts.devRoot, parts.group), (devRoot, group));

    /// <summary>Opens a device by way of its group.</summary>
    public VfioDeviceFile OpenByGroup(PciNode device)
    {
        lock (_gate)
        {
            if (_iommu is not null)
            {
                throw new IOException($"{device.Address}: another device of IOMMU group {device.Group} is open by its character device; all of a group must be opened the same way.");
            }

            return Opened(() =>
            {
                if (_group is null)
                {
                    OpenGroup(device);
                }

                return _group!.OpenDevice(device.Address);
            });
        }
    }

    /// <summary>Opens a device by its own character device.</summary>
    public VfioDeviceFile OpenByCharacterDevice(PciNode device, string node)
    {
        lock (_gate)
        {
            if (_group is not null)
            {
                throw new IOException($"{device.Address}: IOMMU group {device.Group} is open as a whole for another of its devices; all of a group must be opened the same way.");
            }

            return Opened(() =>
            {
                if (_iommu is null)
                {
                    OpenIommu(device);
                }

                return OpenAndBind(device, node);
            });
        }
    }

    /// <summary>Gives back the use of the group by a device whose file has been closed.</summary>
    public void Release()
    {
        lock (_gate)
        {
            _users--;
            CloseUnused();
        }
    }

    /// <summary>
    /// Whether nobody, in any process, holds a file of any device of the group. Null where that cannot be told this way: another device of the group is
    /// in use here.
    /// </summary>
    /// <remarks>
    /// "Device FDs hold a group file reference, therefore the group release is only called when there are no open devices" (vfio_group_fops_release), and
    /// a group opens only if it was released, and if no device of it is open by its character device (vfio_group_fops_open). So an open that succeeds proves it.
    /// So does a group that is gone: it goes with its last device, which waits for every device file to be closed
    /// (vfio_unregister_group_dev, then vfio_device_remove_group).
    /// </remarks>
    public bool? IsUnheld(string sysfsRoot)
    {
        lock (_gate)
        {
            if (_users > 0)
            {
                return null;
            }

            try
            {
                VfioGroup.Open(_groupPath).Dispose();
                return true;
            }
            catch (LinuxException exception) when (exception.Errno is Errno.EBUSY)
            {
                return false;
            }
            catch (LinuxException exception) when (exception.Errno is Errno.ENOENT or Errno.ENODEV or Errno.ENXIO)
            {
                // A kernel without groups (CONFIG_VFIO_GROUP off) has no class either, so that alone would prove nothing.
                bool kernelHasGroups = Directory.Exists(Path.Combine(sysfsRoot, "class/vfio"));
                return kernelHasGroups && !Directory.Exists(Path.Combine(sysfsRoot, "class/vfio", Path.GetFileName(_groupPath))) ? true : null;
            }
        }
    }

    /// <summary>Resets the slot or bus of a device of this group that was opened by way of it, or of one opened by its character device.</summary>
    public void HotReset(VfioDeviceFile device)
    {
        lock (_gate)
        {
            device.HotReset(_group);
        }
    }

    private VfioDeviceFile Opened(Func<VfioDeviceFile> open)
    {
        _users++;
        try
        {
            return open();
        }
        catch
        {
            _users--;
            CloseUnused();
            throw;
        }
    }

    private void OpenGroup(PciNode device)
    {
        try
        {
            _group = VfioGroup.Open(_groupPath);
            _container = VfioContainer.Open(_containerPath);
        }
        catch (LinuxException failure)
        {
            throw VfioAdvice.NodeFailed(failure, device);
        }

        if (!_group.IsViable())
        {
            throw VfioAdvice.NotViable(device);
        }

        if (!_container.HasType1V2())
        {
            throw new IOException($"{device.Address}: the kernel offers no type1 v2 IOMMU for vfio; load the module vfio_iommu_type1.");
        }

        try
        {
            _group.SetContainer(_container);
            _container.SetType1V2();
        }
        catch (LinuxException failure)
        {
            throw VfioAdvice.IommuFailed(failure, device);
        }
    }

    private void OpenIommu(PciNode device)
    {
        try
        {
            _iommu = IommuFd.Open(_iommuPath);
        }
        catch (LinuxException failure)
        {
            throw VfioAdvice.NodeFailed(failure, device);
        }

        _addressSpace = _iommu.AllocateAddressSpace();
    }

    private VfioDeviceFile OpenAndBind(PciNode device, string node)
    {
        VfioDeviceFile file;
        try
        {
            file = VfioDeviceFile.Open(node, device.Address);
        }
        catch (LinuxException failure)
        {
            throw VfioAdvice.NodeFailed(failure, device);
        }

        try
        {
            BindAndAttach(file, device);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private void BindAndAttach(VfioDeviceFile file, PciNode device)
    {
        try
        {
            file.Bind(_iommu!);
        }
        catch (LinuxException failure) when (failure.Errno is Errno.EBUSY or Errno.EPERM)
        {
            throw VfioAdvice.NotViable(device);
        }
        catch (LinuxException failure) when (failure.Errno is Errno.EINVAL)
        {
            // vfio_df_open: a device opens once by its character device.
            throw new IOException($"{device.Address} is in use by another process; only one can have it.", failure);
        }

        try
        {
            file.Attach(_addressSpace);
        }
        catch (LinuxException failure)
        {
            throw VfioAdvice.IommuFailed(failure, device);
        }
    }

    private void CloseUnused()
    {
        if (_users > 0)
        {
            return;
        }

        // The group leaves its container when it is closed; then the container is empty and goes.
        _group?.Dispose();
        _group = null;
        _container?.Dispose();
        _container = null;
        _iommu?.Dispose();
        _iommu = null;
    }
}
