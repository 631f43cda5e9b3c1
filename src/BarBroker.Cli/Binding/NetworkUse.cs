// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.Globalization;
using System.Net.NetworkInformation;
using BarBroker.Linux.Pci;

namespace BarBroker.Cli.Binding;

/// <summary>Whether the network interfaces of a device are configured.</summary>
internal static class NetworkUse
{
    private const int InterfaceUp = 1;
    private const uint NetworkClass = 0x02;

    /// <param name="addressesOf">The IP addresses of an interface, by its name.</param>
    public static IEnumerable<string> Reasons(PciNode device, ImmutableArray<DeviceNode> nodes, Func<string, IEnumerable<string>> addressesOf)
    {
        var interfaces = nodes.Where(static node => node.Subsystem == "net").ToList();
        // sysfs shows the interfaces of one network namespace only.
        return interfaces.Count == 0 && device.Class >> 8 == NetworkClass && device.BlocksGroup
            ? [$"it is a network card whose interface is not seen from here, so that nothing tells whether it is in use, perhaps in a container: move the interface here (`ip link set NAME netns 1`), or, if it has none, "
                + $"`echo {device.Address} > /sys/bus/pci/drivers/{device.Driver}/unbind` first"]
            : interfaces.SelectMany(node => Reasons(node, addressesOf));
    }

    /// <summary>As the system knows them, without those that every interface that is up has, and no other.</summary>
    public static IEnumerable<string> AddressesOf(string name) =>
        NetworkInterface.GetAllNetworkInterfaces().Where(candidate => candidate.Name == name)
            .SelectMany(static candidate => candidate.GetIPProperties().UnicastAddresses)
            .Where(static address => !address.Address.IsIPv6LinkLocal)
            .Select(static address => address.Address.ToString());

    private static IEnumerable<string> Reasons(DeviceNode node, Func<string, IEnumerable<string>> addressesOf)
    {
        string name = node.Name;
        if ((Flags(node) & InterfaceUp) != 0)
        {
            yield return $"the network interface {name} is up: `ip link set {name} down`";
        }

        string? master = Path.GetFileName(new FileInfo(Path.Combine(node.Directory, "master")).LinkTarget);
        if (master is not null)
        {
            yield return $"the network interface {name} belongs to {master}: `ip link set {name} nomaster`";
        }

        // The master is among them.
        foreach (string upper in Directory.EnumerateFileSystemEntries(node.Directory, "upper_*").Select(static path => Path.GetFileName(path)["upper_".Length..]))
        {
            if (upper != master)
            {
                yield return $"{upper} is built on the network interface {name}: `ip link delete {upper}`";
            }
        }

        foreach (string address in addressesOf(name))
        {
            yield return $"the network interface {name} has the address {address}: `ip address flush dev {name}`";
        }
    }

    private static int Flags(DeviceNode node)
    {
        string path = Path.Combine(node.Directory, "flags");
        return File.Exists(path) && int.TryParse(File.ReadAllText(path).Trim().AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int flags) ? flags : 0;
    }
}
