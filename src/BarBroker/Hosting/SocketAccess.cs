// SPDX-License-Identifier: Apache-2.0

using BarBroker.Configuration;
using BarBroker.Linux;

namespace BarBroker.Hosting;

/// <summary>Who may open a socket.</summary>
/// <param name="Group">Null: only the broker's own user.</param>
internal sealed record SocketAccess(uint? Group)
{
    public const string DefaultClientGroup = "barbroker";
    public const string DefaultOperatorGroup = "barbroker-admin";

    private const uint OwnerAndGroup = 0b110_110_000;
    private const uint OwnerOnly = 0b110_000_000;

    public uint Mode => Group is null ? OwnerOnly : OwnerAndGroup;

    /// <summary>
    /// Finds the groups. A broker in a directory of its own (<c>--runtime-dir</c>) for which none is configured has sockets for its own user only; the
    /// system's broker, and whoever named a group, gets the group or an error, never a socket that is open to others than meant.
    /// </summary>
    /// <exception cref="ConfigurationException">A group does not exist.</exception>
    public static (SocketAccess Client, SocketAccess Operator) Resolve(BrokerOptions options, string file)
    {
        var faults = new ConfigurationFaults();
        var client = Resolve(options, "sockets.clientGroup", options.ClientGroup, DefaultClientGroup, faults);
        var forOperators = Resolve(options, "sockets.operatorGroup", options.OperatorGroup, DefaultOperatorGroup, faults);
        faults.ThrowIfAny(file);
        return (client, forOperators);
    }

    private static SocketAccess Resolve(BrokerOptions options, string key, string? configured, string usual, ConfigurationFaults faults)
    {
        if (configured is null && options.IsPersonal)
        {
            return new SocketAccess((uint?)null);
        }

        string name = configured ?? usual;
        uint? group = Users.FindGroup(name);
        if (group is null)
        {
            faults.Add(key, 0, $"the group {name}{(configured is null ? ", the default," : "")} does not exist on this system; create it (groupadd --system {name}) or name another one");
        }

        return new SocketAccess(group);
    }
}
