// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Leases;
using BarBroker.Pools;

namespace BarBroker.Configuration;

/// <summary>What is different between the configuration that a broker runs with and one that it has read since.</summary>
/// <param name="Reloadable">Keys that new requests feel as soon as the new one is in force.</param>
/// <param name="NeedRestart">Keys that only a restart brings into force.</param>
internal sealed record ConfigurationChanges(ImmutableArray<string> Reloadable, ImmutableArray<string> NeedRestart)
{
    /// <param name="started">What the broker was started with.</param>
    /// <param name="inForce">The bounds that hold now, of an earlier reload perhaps.</param>
    public static ConfigurationChanges Between(BrokerOptions started, LeaseOptions inForce, BrokerOptions read)
    {
        var reloadable = new Keys()
            .Compare("leases.defaultTtl", inForce.DefaultTtl, read.Leases.DefaultTtl)
            .Compare("leases.minTtl", inForce.MinTtl, read.Leases.MinTtl)
            .Compare("leases.maxTtl", inForce.MaxTtl, read.Leases.MaxTtl)
            .Compare("leases.ticketTtl", inForce.TicketTtl, read.Leases.TicketTtl)
            .Compare("leases.revokeTimeout", inForce.RevokeTimeout, read.Leases.RevokeTimeout)
            .Compare("leases.escalation", inForce.Escalation, read.Leases.Escalation)
            .Compare("leases.endedKept", inForce.EndedLeasesKept, read.Leases.EndedLeasesKept)
            .Compare("limits.leasesPerUid", inForce.MaxLeasesPerUid, read.Leases.MaxLeasesPerUid)
            .Compare("leases.waitPatience", inForce.WaitPatience, read.Leases.WaitPatience)
            .Compare("limits.waitingPerUid", inForce.MaxWaitingPerUid, read.Leases.MaxWaitingPerUid)
            .Compare("limits.bytesPerUid", inForce.MaxBytesPerUid, read.Leases.MaxBytesPerUid);
        if (inForce.Rules is not null || read.Leases.Rules is not null)
        {
            // Always told: also the same text may mean other users and groups by now.
            reloadable.Add(read.Leases.Rules is { } rules ? $"policy ({rules.Length} {(rules.Length == 1 ? "rule" : "rules")})" : "policy (removed)");
        }

        var restart = new Keys()
            .Compare("runtimeDirectory", started.RuntimeDirectory, read.RuntimeDirectory)
            .Compare("stateDirectory", started.StateDirectory, read.StateDirectory)
            .Compare("sockets.clientGroup", started.ClientGroup, read.ClientGroup)
            .Compare("sockets.operatorGroup", started.OperatorGroup, read.OperatorGroup)
            .Compare("metrics", started.Metrics, read.Metrics)
            .Compare("otlp.endpoint", started.OtlpEndpoint, read.OtlpEndpoint)
            .Compare("journal", started.Journal, read.Journal)
            .Compare("restart", started.Restart, read.Restart)
            .Compare("limits.connectionsPerUid", started.ConnectionsPerUid, read.ConnectionsPerUid)
            .Compare("limits.messageBytes", started.MessageBytes, read.MessageBytes);
        CompareDevices(restart, started.Devices, read.Devices);
        ComparePools(restart, started.Leases.Pools, read.Leases.Pools);
        return new ConfigurationChanges(reloadable.ToImmutable(), restart.ToImmutable());
    }

    private static void CompareDevices(Keys keys, ImmutableArray<DeviceEntry> before, ImmutableArray<DeviceEntry> now)
    {
        foreach (var device in before)
        {
            if (now.FirstOrDefault(other => other.Name == device.Name) is not { } same)
            {
                keys.Add($"devices: {device.Name} (removed)");
            }
            else if (!IsSame(device, same))
            {
                keys.Add($"devices: {device.Name} (changed)");
            }
        }

        foreach (var device in now.Where(device => before.All(other => other.Name != device.Name)))
        {
            keys.Add($"devices: {device.Name} (added)");
        }
    }

    private static void ComparePools(Keys keys, ImmutableArray<Pool> before, ImmutableArray<Pool> now)
    {
        foreach (var pool in before)
        {
            if (now.FirstOrDefault(other => other.Name == pool.Name) is not { } same)
            {
                keys.Add($"pools: {pool.Name} (removed)");
            }
            else if (!pool.IsSameAs(same))
            {
                keys.Add($"pools: {pool.Name} (changed)");
            }
        }

        foreach (var pool in now.Where(pool => before.All(other => other.Name != pool.Name)))
        {
            keys.Add($"pools: {pool.Name} (added)");
        }
    }

    /// <summary>Arrays are equal by reference only, so they are compared on their own.</summary>
    private static bool IsSame(DeviceEntry before, DeviceEntry now) => (before, now) switch
    {
        (SimulatedDeviceEntry a, SimulatedDeviceEntry b) => a.Bars.SequenceEqual(b.Bars) && a with { Bars = b.Bars } == b,
        (VfioDeviceEntry a, VfioDeviceEntry b) => IsSame(a.RevokeFeatures, b.RevokeFeatures) && IsSame(a.MemoryAttributeFeatures, b.MemoryAttributeFeatures)
            && a with { RevokeFeatures = b.RevokeFeatures, MemoryAttributeFeatures = b.MemoryAttributeFeatures } == b,
        _ => false,
    };

    private static bool IsSame(ImmutableArray<int>? before, ImmutableArray<int>? now) =>
        before is { } a && now is { } b ? a.SequenceEqual(b) : before.HasValue == now.HasValue;

    private sealed class Keys
    {
        private readonly List<string> _keys = [];

        public Keys Compare<T>(string key, T before, T now)
        {
            if (!EqualityComparer<T>.Default.Equals(before, now))
            {
                _keys.Add(key);
            }

            return this;
        }

        public void Add(string key) => _keys.Add(key);

        public ImmutableArray<string> ToImmutable() => [.. _keys];
    }
}
