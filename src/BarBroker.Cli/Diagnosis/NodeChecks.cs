// SPDX-License-Identifier: Apache-2.0

using BarBroker.Cli.Binding;
using BarBroker.Linux;
using BarBroker.Linux.Pci;
using BarBroker.Linux.Processes;

namespace BarBroker.Cli.Diagnosis;

/// <summary>The nodes in /dev that the broker opens for a device: are they there, may the broker open them, and may nobody else who should not (71-barbroker-nodes.rules).</summary>
internal static class NodeChecks
{
    private const string Rules = "71-barbroker-nodes.rules";

    public static IEnumerable<Finding> Of(Host host, PciNode node, string name)
    {
        if (!node.HasVfioDevice)
        {
            yield break;
        }

        // As the broker chooses (VfioSession).
        string iommu = Path.Combine(host.Roots.Dev, "iommu");
        string? own = node.CharacterDevice is { } device && File.Exists(iommu) ? Path.Combine(host.Roots.Dev, "vfio/devices", device) : null;
        var broker = Broker(host);
        yield return Device(node, name, own ?? Path.Combine(host.Roots.Dev, "vfio", node.Group!), broker);
        yield return own is not null
            ? Common(name, iommu, $"`udevadm trigger --name-match={iommu}`, if {Rules} is installed; or `chown {BrokerNodes.UserName} {iommu}`, until the next boot.", broker)
            : Common(name, Path.Combine(host.Roots.Dev, "vfio/vfio"), "`chmod 666 /dev/vfio/vfio`, as the kernel makes it: without a group nothing can be done with it. An udev rule has changed it.", broker);

        if (host.Broker is null && !host.IsBrokerHidden && VfioUse.Holders(host.Roots, node, DeviceTree.Of(host.Roots.Sys, node)) is { Count: > 0 } holders)
        {
            yield return Finding.Fail("node", $"{name} is open in {string.Join(", ", holders.DistinctBy(static holder => holder.Pid))}, and only one process can have it", "End that process before the broker starts.");
        }
    }

    /// <summary>The device's own node, or its group's: who can open it has all of the device.</summary>
    private static Finding Device(PciNode node, string name, string path, ProcessCredentials? broker)
    {
        string give = node.Driver == DriverChoice.Preferred
            ? $"`udevadm trigger --name-match={path}`, if {Rules} is installed; without it, `barctl device bind {node.Address}`."
            : $"`barctl device bind {node.Address}` gives it to the broker's user alone; so does an udev rule with OWNER=\"{BrokerNodes.UserName}\", MODE=\"0600\", which holds over a boot. Not to its group, whose members are clients.";
        return FileOwner.Of(path) switch
        {
            null => Missing(name, path),
            var owner when broker is not null && !owner.Allows(broker) => Finding.Fail("node", $"{name}: {path} ({owner}) is not for the broker, which runs as uid {broker.Uid}", $"Give it to the broker's user: {give}"),
            { Mode: var mode } owner when (mode & 0b111) != 0 => Finding.Fail("node", $"{name}: {path} ({owner}) is open to everybody, and who can open it has all of the device, without a lease", $"`chmod 600 {path}`, and find the udev rule that has done it."),
            { Mode: var mode, Gid: not 0 } owner when (mode & 0b111_000) != 0 => Finding.Warn("node", $"{name}: {path} ({owner}) is open to a group, and each of its members can have all of the device, without a lease", $"Give it to the broker's user alone: {give}"),
            { Uid: not 0 } owner when broker is not null && owner.Uid != broker.Uid => Finding.Warn("node", $"{name}: {path} ({owner}) is another user's, who can have all of the device, without a lease", $"Give it to the broker's user alone: {give}"),
            var owner => Finding.Ok("node", $"{name}: {path} is there ({owner})"),
        };
    }

    /// <summary>A node that gives nothing without a device's.</summary>
    private static Finding Common(string name, string path, string remedy, ProcessCredentials? broker) => FileOwner.Of(path) switch
    {
        null => Missing(name, path),
        var owner when broker is not null && !owner.Allows(broker) => Finding.Fail("node", $"{name}: {path} ({owner}) is not for the broker, which runs as uid {broker.Uid}, and without it no device can be opened", remedy),
        var owner => Finding.Ok("node", $"{name}: {path} is there ({owner})"),
    };

    private static Finding Missing(string name, string path) =>
        Finding.Fail("node", $"{name}: {path} is not there, or hidden from this process", "Load vfio_iommu_type1; in a container, pass the node in.");

    /// <summary>As whom it runs, or will run; null: that is not known.</summary>
    private static ProcessCredentials? Broker(Host host)
    {
        if (host.Broker is { } status)
        {
            return ProcessCredentials.Of($"{status.Pid}", host.Roots.Proc);
        }

        return !host.IsPersonal && host.FindUser(BrokerNodes.UserName) is { } user ? new ProcessCredentials(user, [.. host.GroupsOf(BrokerNodes.UserName)]) : null;
    }
}
