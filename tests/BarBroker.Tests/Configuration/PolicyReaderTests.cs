// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.Text;
using System.Text.RegularExpressions;
using BarBroker.Configuration;
using BarBroker.Devices;
using BarBroker.Policy;
using BarBroker.Testing;

namespace BarBroker.Tests.Configuration;

public sealed partial class PolicyReaderTests
{
    [Fact]
    public void Parse_NoPolicy_NoRules()
    {
        Assert.Null(Parse("{}"));
        Assert.Null(Parse("""{ "policy": null }"""));
        Assert.Empty(Parse("""{ "policy": { "rules": [] } }""")!.Value);
    }

    [Fact]
    public void Parse_FullRule_IsReadAsWritten()
    {
        var rule = Assert.Single(Parse("""
            { "policy": { "rules": [ {
              "name": "storage",
              "match": { "uid": [ "root", 1001 ], "gid": "root", "executable": "/opt/x/*", "cgroup": [ "/a.slice", "/b.slice/c.service" ] },
              "lease": {
                "devices": [ "nvme*", "sim0" ], "pools": "door*", "poolsOnly": true, "explicitRanges": false, "access": "read-only", "memoryAttributes": [ "non-cached", "write-combining" ],
                "leases": 3, "bytes": "1MiB", "waiting": 2, "acquiresPerSecond": 5, "acquireBurst": 9,
                "defaultTtl": "20s", "minTtl": "10s", "maxTtl": "40s", "maxLifetime": "1h", "defaultHangLimit": "5s", "minHangLimit": "2s", "maxHangLimit": "9s",
                "recallGrace": "7s", "minPriority": -5, "maxPriority": 10, "defaultPriority": 1, "mayPreempt": true
              },
              "operator": [ "read", "revoke" ]
            } ] } }
            """)!.Value);

        Assert.Equal(("storage", false, OperatorRights.Read | OperatorRights.Revoke), (rule.Name, rule.IsDenial, rule.Operator));
        Assert.Equal([new NamedId(0, "root"), new NamedId(1001, "")], rule.Match.Users);
        Assert.Equal([new NamedId(0, "root")], rule.Match.Groups);
        Assert.Equal(["/opt/x/*"], rule.Match.Executables);
        Assert.Equal(["/a.slice", "/b.slice/c.service"], rule.Match.Cgroups);
        var lease = rule.Lease!;
        Assert.Equal(["nvme*", "sim0"], lease.Devices);
        Assert.Equal(["door*"], lease.Pools);
        Assert.Equal([BufferAccess.ReadOnly], lease.Accesses);
        Assert.Equal([MemoryAttribute.NonCached, MemoryAttribute.WriteCombining], lease.MemoryAttributes);
        Assert.Equal(
            new LeaseRule
            {
                PoolsOnly = true,
                ExplicitRanges = false,
                MaxLeases = 3,
                MaxBytes = 1 << 20,
                MaxWaiting = 2,
                Rate = new AcquireRate(5, 9),
                DefaultTtl = TimeSpan.FromSeconds(20),
                MinTtl = TimeSpan.FromSeconds(10),
                MaxTtl = TimeSpan.FromSeconds(40),
                MaxLifetime = TimeSpan.FromHours(1),
                DefaultHangLimit = TimeSpan.FromSeconds(5),
                MinHangLimit = TimeSpan.FromSeconds(2),
                MaxHangLimit = TimeSpan.FromSeconds(9),
                RecallGrace = TimeSpan.FromSeconds(7),
                MinPriority = -5,
                MaxPriority = 10,
                DefaultPriority = 1,
                MayPreempt = true,
                Devices = lease.Devices,
                Pools = lease.Pools,
                Accesses = lease.Accesses,
                MemoryAttributes = lease.MemoryAttributes,
            },
            lease);
    }

    [Fact]
    public void Parse_EmptyLease_AllowsWhatEverybodyMay()
    {
        var rules = Parse("""{ "policy": { "rules": [ { "name": "a", "lease": {} }, { "name": "b", "deny": true, "message": "not today" } ] } }""")!.Value;

        Assert.Equal(PolicyMatch.Everybody, rules[0].Match);
        Assert.Equal(new LeaseRule { Devices = rules[0].Lease!.Devices, Pools = rules[0].Lease!.Pools }, rules[0].Lease);
        Assert.Equal(["*"], rules[0].Lease!.Pools);
        Assert.Equal(["*"], rules[0].Lease!.Devices);
        Assert.Equal((true, "not today", null), (rules[1].IsDenial, rules[1].DenialText, rules[1].Lease));
    }

    [Fact]
    public void Parse_ManyFaults_AllToldWithTheirLines()
    {
        var exception = Assert.Throws<ConfigurationException>(() => Parse("""
            { "policy": { "rules": [
              { "name": "a", "match": { "uid": "no-such-user" }, "lease": {} },
              { "name": "a", "lease": { "minTtl": "50s", "maxTtl": "40s" } },
              { "name": "b" },
              { "name": "c", "lease": { "devcies": [ "x" ] } }
            ] } }
            """));

        Assert.Equal(
            [("policy.rules[0].match.uid", 2L), ("policy.rules[1].lease.minTtl", 3L), ("policy.rules[1].name", 3L), ("policy.rules[2].lease", 4L), ("policy.rules[3].lease.devcies", 5L)],
            exception.Faults.OrderBy(fault => fault.Line).ThenBy(fault => fault.Path, StringComparer.Ordinal).Select(fault => (fault.Path, fault.Line)));
    }

    [Theory]
    [InlineData("""{ "policy": {} }""", "policy.rules")]
    [InlineData("""{ "policy": { "rules": [ { "lease": {} } ] } }""", "policy.rules[0].name")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a b", "lease": {} } ] } }""", "policy.rules[0].name")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "deny": true, "lease": {} } ] } }""", "policy.rules[0].deny")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "message": "x", "lease": {} } ] } }""", "policy.rules[0].message")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "operator": [ "write" ] } ] } }""", "policy.rules[0].operator[0]")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "operator": [] } ] } }""", "policy.rules[0].operator")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "match": { "uid": [] }, "lease": {} } ] } }""", "policy.rules[0].match.uid")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "match": { "uid": -1 }, "lease": {} } ] } }""", "policy.rules[0].match.uid")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "match": { "uid": 4294967295 }, "lease": {} } ] } }""", "policy.rules[0].match.uid")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "match": { "gid": [ 0, "no-such-group" ] }, "lease": {} } ] } }""", "policy.rules[0].match.gid[1]")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "match": { "executable": "tool" }, "lease": {} } ] } }""", "policy.rules[0].match.executable")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "match": { "executable": "/usr/*/tool" }, "lease": {} } ] } }""", "policy.rules[0].match.executable")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "match": { "executable": "/usr//tool" }, "lease": {} } ] } }""", "policy.rules[0].match.executable")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "match": { "cgroup": "/a.slice/" }, "lease": {} } ] } }""", "policy.rules[0].match.cgroup")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "match": { "pid": 1 }, "lease": {} } ] } }""", "policy.rules[0].match.pid")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "lease": { "devices": [ 1 ] } } ] } }""", "policy.rules[0].lease.devices[0]")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "lease": { "devices": [] } } ] } }""", "policy.rules[0].lease.devices")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "lease": { "access": "write" } } ] } }""", "policy.rules[0].lease.access")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "lease": { "maxLifetime": "8 h", "recallGrace": "1m" } } ] } }""", "policy.rules[0].lease.maxLifetime")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "lease": { "leases": -1 } } ] } }""", "policy.rules[0].lease.leases")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "lease": { "bytes": "1GB" } } ] } }""", "policy.rules[0].lease.bytes")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "lease": { "acquireBurst": 1 } } ] } }""", "policy.rules[0].lease.acquireBurst")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "lease": { "minTtl": "2h" } } ] } }""", "policy.rules[0].lease.minTtl")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "lease": { "maxTtl": "500ms" } } ] } }""", "policy.rules[0].lease.maxTtl")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "lease": { "defaultTtl": "2h" } } ] } }""", "policy.rules[0].lease.defaultTtl")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "lease": { "maxLifetime": "500ms" } } ] } }""", "policy.rules[0].lease.maxLifetime")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "lease": { "maxLifetime": "5s", "recallGrace": "5s" } } ] } }""", "policy.rules[0].lease.recallGrace")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "lease": { "minHangLimit": "5s", "maxHangLimit": "4s" } } ] } }""", "policy.rules[0].lease.minHangLimit")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "lease": { "minPriority": 1 } } ] } }""", "policy.rules[0].lease.minPriority")]
    [InlineData("""{ "policy": { "rules": [ { "name": "a", "lease": { "defaultPriority": 1 } } ] } }""", "policy.rules[0].lease.defaultPriority")]
    public void Parse_OneFault_ToldAtItsPath(string text, string path) =>
        Assert.Equal([path], Assert.Throws<ConfigurationException>(() => Parse(text)).Faults.Select(fault => fault.Path));

    /// <summary>Whole configuration files, such as the documentation shows.</summary>
    [Fact]
    public void Parse_ExamplesOfTheDocumentation_HaveNoFault()
    {
        string[] blocks = [.. ExamplePattern().Matches(File.ReadAllText(Path.Combine(Repository.Root, "docs/policy.md"))).Select(match => match.Groups[1].Value)];

        Assert.NotEmpty(blocks);
        Assert.All(blocks, block => Assert.NotNull(Parse(block)));
    }

    [GeneratedRegex("```jsonc\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex ExamplePattern();

    private static ImmutableArray<PolicyRule>? Parse(string text) =>
        ConfigurationFile.Parse(Encoding.UTF8.GetBytes(text), "test", null, new ConfigurationFaults()).Leases.Rules;
}
