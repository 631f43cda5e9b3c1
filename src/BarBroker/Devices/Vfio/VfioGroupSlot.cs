// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using BarBroker.Linux;
using BarBroker.Linux.Pci;
using BarBroker.Linux.Vfio;

namespace BarBroker.Devices.Vfio;

/// <summary>
/// What the devices of one IOMMU group share in this process. The kernel lets a group be open once (vfio_group_fops_open answers EBUSY), and, by the newer
/// interface, belong to one iommufd; so the first device of the group opens them and the last one closes them.
/// </summary>
/// <remarks>
/// A device file is closed, which may take for ever, before its use of the group is given back, so that no lock is held here meanwhile. (In the kernel,
/// closing a device file holds its group's lock, so that a close that is stuck also holds up opening another device of the same group. Nothing done
/// here could change that.)
/// </remarks>
internal sealed partial class VfioGroupSlot
{
    // Never shrinks: a machine has a bounded number of groups.
    private static readonly ConcurrentDictionary<string, VfioGroupSlot> _slots = new(StringComparer.Ordinal);

    private readonly Lock _gate = new();
    private readonly string _groupPath;
    private readonly string _devRoot;
    private readonly string _group;
    private int _users;
    private VfioAccess? _access;

    private VfioGroupSlot(string devRoot, string group)
    {
        _devRoot = devRoot;
        _group = group;
        _groupPath = Path.Combine(devRoot, "vfio", group);
    }

    public static VfioGroupSlot Of(string devRoot, string group) =>
        _slots.GetOrAdd($"{devRoot}\n{group}", static (_, parts) => new VfioGroupSlot(parts.devRoot, parts.group), (devRoot, group));

    /// <summary>Opens a device of the group, and first what it takes to do that.</summary>
    /// <param name="by">Not <see cref="VfioInterface.Automatic"/>.</param>
    public VfioDeviceFile Open(PciNode device, VfioInterface by)
    {
        lock (_gate)
        {
            if (_access is not null && _access.Interface != by)
            {
                throw new IOException($"{device.Address}: another device of IOMMU group {device.Group} is open by the kernel's other interface; all of a group must be opened the same way.");
            }

            _users++;
            try
            {
                _access ??= by is VfioInterface.Group
                    ? GroupAccess.Open(_groupPath, Path.Combine(_devRoot, "vfio/vfio"), device)
                    : CharacterDeviceAccess.Open(Path.Combine(_devRoot, "vfio/devices"), Path.Combine(_devRoot, "iommu"), device);
                return _access.OpenDevice(device);
            }
            catch
            {
                GiveBack();
                throw;
            }
        }
    }

    /// <summary>Gives back the use of the group by a device whose file has been closed.</summary>
    public void Release()
    {
        lock (_gate)
        {
            GiveBack();
        }
    }

    /// <summary>
    /// Whether nobody, in any process, holds a file of any device of the group. Null where that cannot be told this way: another device of the group is
    /// in use here, or this process may open its devices' own nodes only, and not the group's.
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
            catch (LinuxException exception) when (exception.Errno is Errno.EACCES or Errno.EPERM)
            {
                return null;
            }
            catch (LinuxException exception) when (exception.Errno is Errno.ENOENT or Errno.ENODEV or Errno.ENXIO)
            {
                // A kernel without groups (CONFIG_VFIO_GROUP off) has no class either, so that alone would prove nothing.
                bool kernelHasGroups = Directory.Exists(Path.Combine(sysfsRoot, "class/vfio"));
                return kernelHasGroups && !Directory.Exists(Path.Combine(sysfsRoot, "class/vfio", Path.GetFileName(_groupPath))) ? true : null;
            }
        }
    }

    /// <summary>Resets the slot or bus of an open device of the group.</summary>
    public void HotReset(VfioDeviceFile device)
    {
        lock (_gate)
        {
            _access!.HotReset(device);
        }
    }

    private void GiveBack()
    {
        _users--;
        if (_users == 0)
        {
            _access?.Dispose();
            _access = null;
        }
    }
}
