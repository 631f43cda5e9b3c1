// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Configuration;
using BarBroker.Linux.Pci;

namespace BarBroker.Cli.Binding;

/// <summary>A device to bind.</summary>
/// <param name="Name">As it was named on the command line.</param>
internal sealed record BindingTarget(string Name, string Address)
{
    /// <param name="names">Addresses, or names of the broker's configuration, which is read only for these.</param>
    /// <param name="unknown">Told of each name that is neither.</param>
    /// <exception cref="ConfigurationException">The configuration is needed and cannot be read.</exception>
    public static ImmutableArray<BindingTarget> Resolve(IEnumerable<string> names, string configuration, Action<string> unknown)
    {
        var devices = new Lazy<BrokerOptions>(() => ConfigurationFile.Load(configuration, runtimeDirectory: null));
        var targets = ImmutableArray.CreateBuilder<BindingTarget>();
        foreach (string name in names)
        {
            string? address = PciAddress.Parse(name) ?? devices.Value.Devices.OfType<VfioDeviceEntry>().FirstOrDefault(entry => entry.Name == name)?.Address;
            if (address is null)
            {
                unknown($"{name} is neither a PCI address such as 0000:01:00.0 nor the name of a VFIO device in {configuration}");
            }
            else if (targets.All(target => target.Address != address))
            {
                targets.Add(new BindingTarget(PciAddress.Parse(name) ?? name, address));
            }
        }

        return targets.ToImmutable();
    }
}
