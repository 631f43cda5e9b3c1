// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Linux.Pci;
using BarBroker.Linux.Processes;
using BarBroker.V1;

namespace BarBroker.Cli.Binding;

/// <summary>Whether somebody has a device open through vfio: to unbind it would wait for him, without limit (vfio_unregister_group_dev).</summary>
internal static class VfioUse
{
    /// <param name="toNative">It shall go to a driver that is not of vfio, which the kernel does not let happen while the IOMMU group is open.</param>
    public static string? Reason(SystemRoots roots, PciNode device, ImmutableArray<DeviceNode> nodes, bool toNative, BrokerState? broker)
    {
        if (!device.HasVfioDevice)
        {
            return null;
        }

        var holders = Holders(roots, device, nodes);
        // vfio enables the function at the first open, and disables it at the last close (vfio_pci_core_enable, vfio_pci_core_disable).
        bool isOpen = device.EnableCount is not 0;
        bool isGroupOpen = holders.Count > 0 && (toNative || !device.Neighbours().Any(static neighbour => neighbour.HasVfioDevice));
        if (!isOpen && !isGroupOpen)
        {
            return null;
        }

        if (broker is not null && holders.Count > 0 && holders.All(holder => holder.Pid == broker.Pid))
        {
            return OfBroker(device, broker, isOpen);
        }

        string what = isOpen ? "it is in use through vfio" : $"its IOMMU group {device.Group} is open";
        return holders.Count > 0
            ? $"{what} by {string.Join(" and ", holders.DistinctBy(static holder => holder.Pid))}, and to unbind it would wait for that process: end it first"
            : $"{what} by a process that cannot be seen from here (only root sees all, and nobody those outside of his container), and to unbind it would wait for that process: end it first";
    }

    /// <summary>Those that have the device open, or else those that have a node open by which they may.</summary>
    public static IReadOnlyList<FileHolder> Holders(SystemRoots roots, PciNode device, ImmutableArray<DeviceNode> nodes) =>
        FileHolder.OfVfioDevice(device.RealPath, roots.Proc) is { Count: > 0 } exact
            ? exact
            : FileHolder.Of(
                [
                    Path.Combine(roots.Dev, "vfio", device.Group ?? ""),
                    .. nodes.Where(static node => node is { Subsystem: "vfio-dev", NodeName: not null }).Select(node => Path.Combine(roots.Dev, node.NodeName!)),
                ],
                roots.Proc);

    /// <summary>The broker closes a device when the kernel asks for it; so one without leases, on which none can begin, is free.</summary>
    private static string? OfBroker(PciNode device, BrokerState broker, bool isOpen)
    {
        var served = broker.Devices.FirstOrDefault(candidate => candidate.Address == device.Address);
        if (served is null || !isOpen)
        {
            return $"its IOMMU group {device.Group} is open in the broker (process {broker.Pid}) for another device: stop the broker first";
        }

        return served is { State: DeviceState.Cordoned, Leases: 0 }
            ? null
            : $"the broker (process {broker.Pid}) serves it as {served.Name}, with {served.Leases} leases: `barctl device drain {served.Name}` first";
    }
}
