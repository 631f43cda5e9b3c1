// SPDX-License-Identifier: Apache-2.0

using System.Text;
using System.Text.RegularExpressions;
using BarBroker.Configuration;
using BarBroker.Devices;
using BarBroker.Testing;

namespace BarBroker.Tests.Configuration;

public sealed partial class ConfigurationFileTests
{
    [Fact]
    public void Load_Example_ReadsAsDocumented()
    {
        var options = ConfigurationFile.Load(Path.Combine(Repository.Root, "deploy/broker.json"), null);

        Assert.Equal(("/run/barbroker", "/var/lib/barbroker", "barbroker", "barbroker-admin"), (options.RuntimeDirectory, options.StateDirectory, options.ClientGroup, options.OperatorGroup));
        Assert.Equal("127.0.0.1:9464", options.Metrics?.ToString());
        Assert.Equal(1ul << 30, options.Leases.MaxBytesPerUid);
        var device = Assert.IsType<SimulatedDeviceEntry>(Assert.Single(options.Devices));
        Assert.Equal(("sim0", 64ul << 20, RevocationDomain.Selective), (device.Name, device.Bars[0].Size, device.Domain));
    }

    [Fact]
    public void Parse_Empty_DefaultsHold()
    {
        var options = Parse("{}");

        Assert.Equal(new BarBroker.Leases.LeaseOptions(), options.Leases);
        Assert.Equal((64, 65536, 0), (options.ConnectionsPerUid, options.MessageBytes, options.Devices.Length));
        Assert.Equal("127.0.0.1:9464", options.Metrics?.ToString());
        Assert.Null(options.OtlpEndpoint);
    }

    [Fact]
    public void Parse_Escalation_TimesAndNever()
    {
        var escalation = Parse("""{ "leases": { "escalation": { "notify": "5s", "cordon": "never", "kill": "1m", "reset": "5m" } } }""").Leases.Escalation;

        Assert.Equal((TimeSpan.FromSeconds(5), null, TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(5)), (escalation.Notify, escalation.Cordon, escalation.Kill, escalation.Reset));
    }

    [Fact]
    public void Parse_EveryKey_IsInTheDocumentation()
    {
        var faults = new ConfigurationFaults();
        ConfigurationFile.Parse(
            """
            { "devices": [
              { "name": "a", "kind": "simulated", "bars": [ { "size": 8192 } ] },
              { "name": "b", "kind": "vfio", "address": "0000:01:00.0", "features": { "revoke": [ 13 ] } } ],
              "pools": [ { "name": "p", "devices": "a", "buffers": [ { "size": 4096, "stride": 4096 }, { "offset": 4096, "granularity": 4096 } ], "count": 1 } ],
              "policy": { "rules": [ { "name": "r", "lease": {} } ] } }
            """u8,
            "test",
            null,
            faults);
        var leaves = faults.Keys.Where(key => key == "devices[].bars" || !faults.Keys.Any(other => other.StartsWith(key + ".", StringComparison.Ordinal) || other.StartsWith(key + "[", StringComparison.Ordinal)));

        var documented = RowPattern().Matches(File.ReadAllText(Path.Combine(Repository.Root, "docs/configuration.md"))).Select(match => match.Groups[1].Value);

        Assert.Equal(leaves.Order(StringComparer.Ordinal), documented.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Parse_RuntimeDirectoryOption_MovesSocketsAndState()
    {
        Assert.Equal(("/tmp/x", "/tmp/x/state"), Directories(Parse("""{ "runtimeDirectory": "/run/other" }""", "/tmp/x")));
        Assert.Equal(("/tmp/x", "/srv/state"), Directories(Parse("""{ "stateDirectory": "/srv/state" }""", "/tmp/x")));
        Assert.Equal(("/run/other", "/var/lib/barbroker"), Directories(Parse("""{ "runtimeDirectory": "/run/other" }""")));

        static (string, string) Directories(BrokerOptions options) => (options.RuntimeDirectory, options.StateDirectory);
    }

    [Fact]
    public void Parse_ManyFaults_AllToldWithPathAndLine()
    {
        var exception = Assert.Throws<ConfigurationException>(() => Parse(
            """
            {
              "sockets": { "clientGruop": "x" },
              "leases": { "minTtl": "2 hours" },
              "metrics": { "address": "localhost:1" },
              "devices": [
                { "name": "a", "kind": "simulated", "bars": [ { "index": 9, "size": "5KiB" } ] },
                { "name": "a", "kind": "vfio", "address": "1:0.0" }
              ],
              "metrics": {}
            }
            """));

        Assert.Equal(
            [
                ("sockets.clientGruop", 2L), ("leases.minTtl", 3L), ("metrics.address", 4L), ("devices[0].bars[0].index", 6L), ("devices[0].bars[0].size", 6L),
                ("devices[1].name", 7L), ("devices[1].address", 7L), ("metrics", 9L),
            ],
            exception.Faults.OrderBy(fault => fault.Line).Select(fault => (fault.Path, fault.Line)));
        Assert.Contains("8 faults", exception.Message, StringComparison.Ordinal);
        Assert.Contains("line 9", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{ "leases": [] }""", "leases")]
    [InlineData("""{ "leases": { "ttl": "1s" } }""", "leases.ttl")]
    [InlineData("""{ "leases": { "MinTtl": "1s" } }""", "leases.MinTtl")]
    [InlineData("""{ "leases": { "minTtl": 5 } }""", "leases.minTtl")]
    [InlineData("""{ "leases": { "minTtl": "-1s" } }""", "leases.minTtl")]
    [InlineData("""{ "leases": { "minTtl": "99ms" } }""", "leases.minTtl")]
    [InlineData("""{ "leases": { "minTtl": "99999999999999999999s" } }""", "leases.minTtl")]
    [InlineData("""{ "leases": { "minTtl": "2h", "maxTtl": "1h" } }""", "leases.minTtl")]
    [InlineData("""{ "leases": { "defaultTtl": "2h" } }""", "leases.defaultTtl")]
    [InlineData("""{ "leases": { "endedKept": 1.5 } }""", "leases.endedKept")]
    [InlineData("""{ "leases": { "escalation": { "notify": "never" } } }""", "leases.escalation.notify")]
    [InlineData("""{ "leases": { "escalation": { "kill": "500ms" } } }""", "leases.escalation.kill")]
    [InlineData("""{ "leases": { "escalation": { "kill": "2m", "reset": "1m" } } }""", "leases.escalation.reset")]
    [InlineData("""{ "leases": { "escalation": { "cordon": false } } }""", "leases.escalation.cordon")]
    [InlineData("""{ "leases": { "endedKept": -1 } }""", "leases.endedKept")]
    [InlineData("""{ "limits": { "leasesPerUid": 0 } }""", "limits.leasesPerUid")]
    [InlineData("""{ "limits": { "bytesPerUid": "1GB" } }""", "limits.bytesPerUid")]
    [InlineData("""{ "limits": { "bytesPerUid": "99999999999GiB" } }""", "limits.bytesPerUid")]
    [InlineData("""{ "limits": { "messageBytes": "8MiB" } }""", "limits.messageBytes")]
    [InlineData("""{ "metrics": { "address": "127.0.0.1" } }""", "metrics.address")]
    [InlineData("""{ "metrics": { "address": "::1:9464" } }""", "metrics.address")]
    [InlineData("""{ "metrics": { "address": "127.0.0.1:65536" } }""", "metrics.address")]
    [InlineData("""{ "metrics": { "enabled": "yes" } }""", "metrics.enabled")]
    [InlineData("""{ "otlp": { "endpoint": "collector:4317" } }""", "otlp.endpoint")]
    [InlineData("""{ "runtimeDirectory": "run" }""", "runtimeDirectory")]
    [InlineData("""{ "runtimeDirectory": "" }""", "runtimeDirectory")]
    [InlineData("""{ "sockets": { "clientGroup": 5 } }""", "sockets.clientGroup")]
    [InlineData("""{ "devices": {} }""", "devices")]
    [InlineData("""{ "devices": [ 1 ] }""", "devices[0]")]
    [InlineData("""{ "devices": [ { "kind": "simulated", "bars": [ { "size": 4096 } ] } ] }""", "devices[0].name")]
    [InlineData("""{ "devices": [ { "name": "a b", "kind": "simulated", "bars": [ { "size": 4096 } ] } ] }""", "devices[0].name")]
    [InlineData("""{ "devices": [ { "name": "a" } ] }""", "devices[0].kind")]
    [InlineData("""{ "devices": [ { "name": "a", "kind": "gpu" } ] }""", "devices[0].kind")]
    [InlineData("""{ "devices": [ { "name": "a", "kind": "simulated" } ] }""", "devices[0].bars")]
    [InlineData("""{ "devices": [ { "name": "a", "kind": "simulated", "bars": [ { "size": 4096 }, { "size": 4096 } ] } ] }""", "devices[0].bars[1].index")]
    [InlineData("""{ "devices": [ { "name": "a", "kind": "simulated", "bars": [ { "index": 0 } ] } ] }""", "devices[0].bars[0].size")]
    [InlineData("""{ "devices": [ { "name": "a", "kind": "simulated", "address": "0000:01:00.0", "bars": [ { "size": 4096 } ] } ] }""", "devices[0].address")]
    [InlineData("""{ "devices": [ { "name": "a", "kind": "vfio", "address": "0000:01:00.0", "features": { "revoke": [ 12 ] } } ] }""", "devices[0].features.revoke[0]")]
    [InlineData("""{ "devices": [ { "name": "a", "kind": "vfio", "address": "0000:01:20.0" } ] }""", "devices[0].address")]
    [InlineData("""{ "devices": [ { "name": "a", "kind": "vfio", "address": "0000:01:00.0" }, { "name": "b", "kind": "vfio", "address": "0000:01:00.0" } ] }""", "devices[1].address")]
    public void Parse_OneFault_ToldAtItsPath(string text, string path)
    {
        var exception = Assert.Throws<ConfigurationException>(() => Parse(text));

        Assert.Contains(path, exception.Faults.Select(fault => fault.Path));
        Assert.Contains(path, exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("{ \"leases\": { }")]
    [InlineData("{} {}")]
    [InlineData("{ a: 1 }")]
    [InlineData("[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]")]
    public void Parse_NoJson_OneFault(string text) => Assert.Single(Assert.Throws<ConfigurationException>(() => Parse(text)).Faults);

    [Theory]
    [InlineData("[]")]
    [InlineData("5")]
    [InlineData("null")]
    public void Parse_NoObject_Fault(string text) => Assert.Throws<ConfigurationException>(() => Parse(text));

    [Fact]
    public void Load_NoFile_FaultNamesIt()
    {
        var exception = Assert.Throws<ConfigurationException>(() => ConfigurationFile.Load("/nonexistent/broker.json", null));

        Assert.Contains("/nonexistent/broker.json", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("250ms", 250)]
    [InlineData("30s", 30_000)]
    [InlineData("5m", 300_000)]
    [InlineData("1h", 3_600_000)]
    public void Quantity_Duration_ThereAndBack(string text, int milliseconds)
    {
        Assert.True(Quantity.TryParseDuration(text, out var duration));
        Assert.Equal(TimeSpan.FromMilliseconds(milliseconds), duration);
        Assert.Equal(text, Quantity.Format(duration));
    }

    [Theory]
    [InlineData("4097", 4097ul)]
    [InlineData("4KiB", 4096ul)]
    [InlineData("64MiB", 64ul << 20)]
    [InlineData("3GiB", 3ul << 30)]
    [InlineData("1TiB", 1ul << 40)]
    public void Quantity_Size_ThereAndBack(string text, ulong bytes)
    {
        Assert.True(Quantity.TryParseSize(text, out ulong parsed));
        Assert.Equal(bytes, parsed);
        Assert.Equal(text, Quantity.Format(bytes));
    }

    private static BrokerOptions Parse(string text, string? runtimeDirectory = null) =>
        ConfigurationFile.Parse(Encoding.UTF8.GetBytes(text), "test", runtimeDirectory, new ConfigurationFaults());

    [GeneratedRegex(@"^\| `([a-z][\w.\[\]]+)` \|", RegexOptions.Multiline)]
    private static partial Regex RowPattern();
}
