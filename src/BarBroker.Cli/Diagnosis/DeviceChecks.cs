// SPDX-License-Identifier: Apache-2.0

using BarBroker.Cli.Binding;
using BarBroker.Configuration;
using BarBroker.Linux.Pci;
using BarBroker.V1;

namespace BarBroker.Cli.Diagnosis;

/// <summary>Each configured VFIO device: is it there, in the right hands, and what can be taken back on it.</summary>
internal static class DeviceChecks
{
    public static IEnumerable<Finding> Run(Host host) => host.VfioDevices.SelectMany(entry => Of(host, entry)).Concat(Served(host));

    private static IEnumerable<Finding> Of(Host host, VfioDeviceEntry entry)
    {
        var node = host.Node(entry.Address);
        string name = $"{entry.Name} ({entry.Address})";
        if (!node.Exists)
        {
            return [Finding.Fail("device", $"{name}: there is no such PCI device", "`lspci -D` lists those there are; addresses move when cards are added. Correct devices[].address.")];
        }

        if (PciIsolation.Missing(node) is { } missing)
        {
            return [Finding.Fail("device", $"{name}: {missing}", "See the check iommu.")];
        }

        return [Driver(node, entry, name), Group(node, name), .. NodeChecks.Of(host, node, name)];
    }

    private static Finding Driver(PciNode node, VfioDeviceEntry entry, string name)
    {
        string bind = $"`barctl device bind {entry.Name} --persist`";
        return node switch
        {
            { Driver: null } => Finding.Fail("driver", $"{name} has no driver", bind),
            { HasVfioDevice: false } => Finding.Fail("driver", $"{name} has the driver {node.Driver}, which is not of vfio", $"{bind}; it says so if the device is in use."),
            _ => Finding.Ok("driver", $"{name} has the driver {node.Driver}"),
        };
    }

    private static Finding Group(PciNode node, string name)
    {
        var neighbours = node.Neighbours();
        var blockers = Obstacles.Blockers(node);
        if (blockers.Length > 0)
        {
            return Finding.Fail(
                "group",
                $"{name} shares IOMMU group {node.Group} with {string.Join(", ", blockers)}: as long as those have such drivers, the kernel lets nobody open it",
                $"`barctl device bind {string.Join(' ', blockers.Select(static blocker => blocker.Address))}`, if nothing needs them; or put the card into a slot with a group of its own.");
        }

        return neighbours.Length == 0
            ? Finding.Ok("group", $"{name} has IOMMU group {node.Group} for itself")
            : Finding.Ok("group", $"{name} shares IOMMU group {node.Group} with {string.Join(", ", neighbours)}, which does no harm; they are not isolated from each other");
    }

    /// <summary>What the broker itself found out about its devices.</summary>
    private static IEnumerable<Finding> Served(Host host) => (host.Broker?.Devices ?? []).Select(static device => device switch
    {
        { State: DeviceState.Leaving } => Finding.Warn("served", $"{device.Name} is leaving: {device.Detail}", "Nothing: it ends by itself."),
        { State: DeviceState.Unavailable } => Finding.Fail("served", $"{device.Name} is unavailable: {device.Detail}", "Mend what the reason names; the broker tries again by itself."),
        { RevocationDomain: RevocationDomain.None } => Finding.Fail("served", $"{device.Name} cannot be revoked at all, and is not leased: {device.Detail}", "See the checks kernel and modules."),
        { State: DeviceState.Cordoned } => Finding.Warn("served", $"{device.Name} is cordoned: it has leases, and gets no new ones", $"`barctl device uncordon {device.Name}` when the reason is gone."),
        { RevocationDomain: RevocationDomain.Device } => Finding.Warn(
            "served",
            $"{device.Name} can only be revoked as a whole: ending one lease resets the device and ends all of them, so by default one user at a time may have leases on it",
            $"Bind it to {DriverChoice.Preferred} (`barctl device bind {device.Name} --driver {DriverChoice.Preferred}`), or accept it; allowSharing lets several users share that fate."),
        _ => Finding.Ok("served", $"{device.Name} is served; leases end one by one"),
    });
}
