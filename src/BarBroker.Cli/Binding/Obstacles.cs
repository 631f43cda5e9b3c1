// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Linux.Pci;
using BarBroker.Linux.Processes;

namespace BarBroker.Cli.Binding;

/// <summary>Everything that speaks against taking a device from its driver, each with what to do about it.</summary>
internal sealed class Obstacles(SystemRoots roots, BrokerState? broker, Func<string, IEnumerable<string>> addressesOf)
{
    public ImmutableArray<string> ToBind(PciNode device) => [.. OfKind(device), .. OfUse(device, toNative: false)];

    public ImmutableArray<string> ToRelease(PciNode device) => [.. OfUse(device, toNative: true)];

    /// <summary>Neighbours that keep the device from being opened.</summary>
    public static ImmutableArray<PciNode> Blockers(PciNode device) => [.. device.Neighbours().Where(static neighbour => neighbour.BlocksGroup)];

    /// <summary>Who may be waited for: those that have something of the device open.</summary>
    public string Holders(PciNode device)
    {
        var nodes = DeviceTree.Of(roots.Sys, device);
        var holders = FileHolder.Of([.. nodes.Select(PathOf).OfType<string>()], roots.Proc).Concat(VfioUse.Holders(roots, device, nodes));
        return string.Join(", ", holders.DistinctBy(static holder => holder.Pid));
    }

    private static IEnumerable<string> OfKind(PciNode device)
    {
        if (device.IsBridge)
        {
            yield return "it is a PCI bridge, on which other devices depend, and none has BARs to lease: bind the devices behind it";
        }

        if (device.IsBootDisplay)
        {
            yield return "it is the display that the firmware uses, and with it the machine's console: use another card, or make another the primary display in the firmware";
        }

        if (PciIsolation.Missing(device) is { } missing)
        {
            yield return missing;
        }
    }

    private IEnumerable<string> OfUse(PciNode device, bool toNative)
    {
        if (device.VirtualFunctions > 0)
        {
            yield return $"its driver has made {device.VirtualFunctions} virtual functions of it: `echo 0 > {device.Attribute("sriov_numvfs")}` when they are not in use";
        }

        var nodes = DeviceTree.Of(roots.Sys, device);
        foreach (string reason in BlockUse.Reasons(roots, nodes).Concat(NetworkUse.Reasons(device, nodes, addressesOf)))
        {
            yield return reason;
        }

        var files = nodes.Where(static node => node.Subsystem != "vfio-dev").Select(PathOf).OfType<string>().ToHashSet(StringComparer.Ordinal);
        foreach (var holder in FileHolder.Of(files, roots.Proc))
        {
            yield return $"{holder.File} is open in {holder}: end that first";
        }

        if (VfioUse.Reason(roots, device, nodes, toNative, broker) is { } use)
        {
            yield return use;
        }
    }

    private string? PathOf(DeviceNode node) => node.NodeName is { } name ? Path.Combine(roots.Dev, name) : null;
}
