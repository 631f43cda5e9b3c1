// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux;
using BarBroker.Linux.Pci;

namespace BarBroker.Cli.Binding;

/// <summary>Gives the nodes of devices to the broker's own user, where the system has one: then the daemon needs no right but that. What udev does for vfio-bar-lease (71-barbroker-nodes.rules), this does for vfio-pci, which others use, too.</summary>
/// <param name="user">Null: the broker runs as root, or as some user of its own choice, and nothing is given.</param>
internal sealed class BrokerNodes(SystemRoots roots, uint? user)
{
    public const string UserName = "barbroker";

    /// <summary>For its owner only: members of its group are clients, who must not have a whole device.</summary>
    private const uint OwnerOnly = 0b110_000_000;

    /// <summary>Null: done, or there is nothing to do. Else what went wrong.</summary>
    public string? Give(PciNode device)
    {
        if (user is not { } uid || !device.HasVfioDevice)
        {
            return null;
        }

        string?[] nodes = [device.Group is { } group ? $"vfio/{group}" : null, device.CharacterDevice is { } file ? $"vfio/devices/{file}" : null];
        try
        {
            foreach (string path in nodes.OfType<string>().Select(node => Path.Combine(roots.Dev, node)).Where(File.Exists))
            {
                Users.SetOwnerAndMode(path, uid, OwnerOnly);
            }

            return null;
        }
        catch (IOException failure)
        {
            return $"the broker's user {UserName} was not given the device: {failure.Message}";
        }
    }
}
