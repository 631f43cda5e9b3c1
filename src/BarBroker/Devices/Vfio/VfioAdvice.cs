// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux;
using BarBroker.Linux.Pci;
using BarBroker.Linux.Processes;

namespace BarBroker.Devices.Vfio;

/// <summary>Finds out why a device cannot be opened, and says what to do about it.</summary>
internal static class VfioAdvice
{
    /// <summary>Throws where sysfs alone tells that the device cannot be opened.</summary>
    public static void Check(PciNode device)
    {
        string address = device.Address;
        if (!device.Exists)
        {
            throw new IOException($"There is no PCI device {address}; `lspci -D` lists those there are.");
        }

        if (PciIsolation.Missing(device) is { } missing)
        {
            throw new IOException(missing);
        }

        if (!device.HasVfioDevice)
        {
            // vfio_unregister_group_dev takes the vfio device out of sysfs, and then waits for its files to be closed.
            if (device.Driver is { } driving && driving.Contains("vfio", StringComparison.Ordinal))
            {
                throw new IOException($"{address} ({device.Id}) has the driver {driving}, and no vfio device: it is just being unbound or bound.");
            }

            string holder = device.Driver is { } driver ? $"bound to the driver {driver}" : "bound to no driver";
            throw new IOException($"{address} ({device.Id}) is {holder}, not to vfio-pci or another vfio driver. To bind it: `barctl device bind {address}`");
        }
    }

    /// <summary>For a group that the kernel refuses because of what else is in it.</summary>
    public static IOException NotViable(PciNode device)
    {
        var neighbours = device.Neighbours();
        string others = neighbours.Length == 0 ? "it has no other devices" : $"its other devices are {string.Join(", ", neighbours)}";
        return Blocked(device)
            ?? new IOException($"{device.Address} cannot be opened: the kernel says that IOMMU group {device.Group} is in use by a driver of its own; {others}.");
    }

    /// <summary>For a group of which others have devices; null: none have.</summary>
    public static IOException? Blocked(PciNode device)
    {
        var neighbours = device.Neighbours();
        string group = $"IOMMU group {device.Group}";
        if (neighbours.Where(static neighbour => neighbour.BlocksGroup).ToList() is { Count: > 0 } blockers)
        {
            return new IOException(
                $"{device.Address} cannot be opened: {group} also holds {string.Join(", ", blockers)}, and all devices of a group must be out of other drivers' hands. "
                + $"Give up that device, too: `barctl device bind {string.Join(' ', blockers.Select(static blocker => blocker.Address))}` - or put the card into a slot with a group of its own.");
        }

        return neighbours.SelectMany(static neighbour => FileHolder.OfVfioDevice(neighbour.RealPath)).FirstOrDefault() is { } holder
            ? new IOException($"{device.Address} cannot be opened: {group} is in use by {holder}, which has {Path.GetFileName(holder.File)} of it open; only one process can have devices of a group.")
            : null;
    }

    /// <summary>For a node in /dev that did not open.</summary>
    public static IOException NodeFailed(LinuxException failure, PciNode device) => failure.Errno switch
    {
        Errno.EBUSY => InUse(failure, device, failure.Target),
        Errno.ENOENT => new IOException($"{device.Address}: {failure.Target} does not exist; load the modules vfio-pci and vfio_iommu_type1, and look whether the node is hidden from this process.", failure),
        Errno.EACCES or Errno.EPERM => new IOException($"{device.Address}: no permission for {failure.Target}; run as root, or give the node to the broker's user by an udev rule.", failure),
        _ => failure,
    };

    /// <summary>For a device that somebody else has, by this node or another one.</summary>
    public static IOException InUse(LinuxException failure, PciNode device, string node)
    {
        // A broker that is over for everybody but the kernel has closed the node; the device's own file is the one that a call keeps.
        var holders = FileHolder.Of([node]);
        if (holders.Count == 0)
        {
            holders = FileHolder.OfVfioDevice(device.RealPath);
        }

        const string Kept = "which has ended but for a thread that the kernel keeps: the driver of another device has memory of this one mapped and does not let go "
            + "(the kernel's log and the broker's own, of before, tell more). The device is taken as soon as it does; if it never does, only a reboot helps.";
        if (holders.FirstOrDefault(static holder => ProcessEnd.IsEnding(holder.Pid)) is { } ending)
        {
            return new IOException($"{device.Address}: {node} is held by {ending}, {Kept}", failure);
        }

        if (holders.Count == 0 && ProcessEnd.Kept() is [var kept, ..])
        {
            return new IOException($"{device.Address}: {node} is in use, no process shows it open, and so it may be held by {new FileHolder(kept, ProcessName.Of(kept), node)}, {Kept}", failure);
        }

        string who = holders.Count > 0 ? string.Join(" and ", holders.Take(3)) : $"another process (`fuser -v {node}` tells which)";
        return new IOException($"{device.Address}: {node} is in use by {who}; only one can have it.", failure);
    }

    /// <summary>For a device that VFIO_DEVICE_BIND_IOMMUFD did not give to an iommufd.</summary>
    /// <param name="nodes">The directory of the character devices.</param>
    public static IOException BindFailed(LinuxException failure, PciNode device, string nodes) => failure.Errno switch
    {
        // vfio_device_block_group: somebody has the group's own node open.
        Errno.EBUSY => InUse(failure, device, Path.Combine(Path.GetDirectoryName(nodes)!, device.Group ?? "")),

        // vfio_df_open: a device opens once by its character device.
        Errno.EINVAL when device.EnableCount is not 0 => InUse(failure, device, Path.Combine(nodes, device.CharacterDevice ?? "")),

        // EPERM from iommu_device_claim_dma_owner: a driver's or another iommufd's device is in the group; from iommufd_bind_iommu: interrupts are not isolated.
        Errno.EPERM => Blocked(device) ?? IommuFailed(failure, device),
        _ => IommuFailed(failure, device),
    };

    /// <summary>For an IOMMU that could not be taken.</summary>
    public static IOException IommuFailed(LinuxException failure, PciNode device) => failure.Errno is Errno.EPERM
        ? new IOException($"{device.Address}: {failure.Message}. The platform does not isolate the device's interrupts; switch on interrupt remapping in the firmware.", failure)
        : new IOException($"{device.Address}: {failure.Message}", failure);
}
