// SPDX-License-Identifier: Apache-2.0

using System.Text;
using BarBroker.Configuration;

namespace BarBroker.Tests.Configuration;

public sealed class ConfigurationChangesTests
{
    private const string Start = """
        { "leases": { "maxTtl": "1h" }, "devices": [
          { "name": "a", "kind": "simulated", "bars": [ { "size": "1MiB" } ] },
          { "name": "b", "kind": "vfio", "address": "0000:01:00.0", "features": { "revoke": [ 13 ] } },
          { "name": "c", "kind": "simulated", "bars": [ { "size": "1MiB" } ] } ] }
        """;

    [Fact]
    public void Between_SameText_Nothing()
    {
        var changes = Between(Start, Start);

        Assert.Empty(changes.Reloadable);
        Assert.Empty(changes.NeedRestart);
    }

    [Fact]
    public void Between_EverythingElse_ReloadableAndNeedingARestartApart()
    {
        var changes = Between(Start, """
            { "runtimeDirectory": "/run/x", "stateDirectory": "/var/x", "sockets": { "clientGroup": "x", "operatorGroup": "y" },
              "metrics": { "enabled": false }, "otlp": { "endpoint": "http://x:1" },
              "leases": { "maxTtl": "2h", "minTtl": "2s", "defaultTtl": "5s", "ticketTtl": "1s", "revokeTimeout": "1s", "endedKept": 5 },
              "limits": { "leasesPerUid": 3, "bytesPerUid": "1GiB", "connectionsPerUid": 3, "messageBytes": "32KiB" },
              "devices": [
                { "name": "a", "kind": "simulated", "bars": [ { "size": "2MiB" } ] },
                { "name": "b", "kind": "vfio", "address": "0000:01:00.0", "features": { "revoke": [ 14 ] } },
                { "name": "d", "kind": "simulated", "bars": [ { "size": "1MiB" } ] } ],
              "policy": { "rules": [ { "name": "r", "lease": {} } ] } }
            """);

        Assert.Equal(
            [
                "leases.defaultTtl", "leases.minTtl", "leases.maxTtl", "leases.ticketTtl", "leases.revokeTimeout", "leases.endedKept", "limits.leasesPerUid",
                "limits.bytesPerUid", "policy (1 rule)",
            ],
            changes.Reloadable);
        Assert.Equal(
            [
                "runtimeDirectory", "stateDirectory", "sockets.clientGroup", "sockets.operatorGroup", "metrics", "otlp.endpoint", "limits.connectionsPerUid",
                "limits.messageBytes", "devices: a (changed)", "devices: b (changed)", "devices: c (removed)", "devices: d (added)",
            ],
            changes.NeedRestart);
    }

    [Fact]
    public void Between_PolicyRemoved_IsTold() =>
        Assert.Equal(["policy (removed)"], Between("""{ "policy": { "rules": [] } }""", "{}").Reloadable);

    private static ConfigurationChanges Between(string before, string now) => ConfigurationChanges.Between(Parse(before), Parse(before).Leases, Parse(now));

    private static BrokerOptions Parse(string text) => ConfigurationFile.Parse(Encoding.UTF8.GetBytes(text), "test", null, new ConfigurationFaults());
}
