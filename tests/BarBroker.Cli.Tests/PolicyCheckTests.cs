// SPDX-License-Identifier: Apache-2.0

using System.Text.Json;
using BarBroker.Testing;

namespace BarBroker.Cli.Tests;

/// <summary>barctl policy check: no broker is there.</summary>
public sealed class PolicyCheckTests : TestBase
{
    private const string Configuration = """
        { "devices": [ { "name": "sim0", "kind": "simulated", "bars": [ { "size": "1MiB" } ] } ],
          "policy": { "rules": [
            { "name": "closed", "match": { "uid": 1017 }, "deny": true, "message": "this account is closed" },
            { "name": "tool", "match": { "executable": "/usr/bin/tool" }, "lease": { "devices": "sim?" } },
            { "name": "people", "match": { "gid": 2000 },
              "lease": { "explicitRanges": false, "maxTtl": "20s", "bytes": "64KiB", "maxLifetime": "8h", "minPriority": -5, "maxPriority": 5 } },
            { "name": "ops", "match": { "uid": "root" }, "operator": [ "read", "revoke" ] } ] } }
        """;

    [Fact]
    public async Task Check_GoodFile_IsOk()
    {
        var result = await CheckAsync(Configuration);

        Assert.Equal((0, "broker.json: OK, a policy of 4 rules\n", ""), (result.Status, Relative(result.Output), result.Errors));
        Assert.Equal("broker.json: OK, no policy\n", Relative((await CheckAsync("{}")).Output));
    }

    [Fact]
    public async Task Check_FaultyFile_Is1WithEveryFaultAndItsLine()
    {
        var result = await CheckAsync(Configuration.Replace("explicitRanges", "ranges", StringComparison.Ordinal).Replace("1017", "\"no-such-user\"", StringComparison.Ordinal));

        Assert.Equal(1, result.Status);
        Assert.Collection(
            result.Lines,
            line => Assert.StartsWith("line 3: policy.rules[0].match.uid: there is no user no-such-user on this system", line, StringComparison.Ordinal),
            line => Assert.StartsWith("line 6: policy.rules[2].lease.ranges: is no known key", line, StringComparison.Ordinal));
        Assert.Contains("has 2 faults", result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Check_Request_TellsWhyEachRuleAndWhatWouldBeGranted()
    {
        var result = await CheckAsync(Configuration, "--user", "1000", "--group", "2000", "--device", "sim0", "--size", "4KiB", "--ttl", "1h", "--priority", "99");

        Assert.Equal(0, result.Status);
        Assert.Equal(
            [
                "rule closed: uid 1000 is not 1017",
                "rule tool: the executable is not known; the rule asks for /usr/bin/tool",
                "rule people: matches and decides",
                "granted, if there is room and the quota is not used up:",
                "  devices       sim0",
                "  ttl           20s",
                "  hang limit    no limit",
                "  lifetime      8h",
                "  recall grace  none",
                "  leases        1024",
                "  bytes         64 KiB",
                "  waiting       no limit",
                "  acquires      no limit",
                "  priority      5",
            ],
            result.Lines);
    }

    [Theory]
    [InlineData("--user 1017 --group 1 --size 4096", 5, "denied", "closed")]
    [InlineData("--user 1000 --group 2000 --range 0x0+0x1000", 5, "denied", "people")]
    [InlineData("--user 1000 --group 2001 --size 4096", 5, "denied", null)]
    [InlineData("--user 1000 --group 2000 --size 4096 --device sim7", 4, "not_found", "people")]
    [InlineData("--user 1000 --group 2000 --size 128KiB", 1, "quota", "people")]
    [InlineData("--user 1000 --group 2001 --exe /usr/bin/tool --size 128KiB", 0, null, "tool")]
    [InlineData("--user 1000 --group 2001 --exe /usr/bin/tool --size 4096 --device nvme0", 5, "denied", "tool")]
    public async Task Check_Request_ExitsAsTheBrokerWouldRefuse(string question, int status, string? code, string? rule)
    {
        var result = await CheckAsync(Configuration, ["-o", "json", .. question.Split(' ')]);

        Assert.Equal(status, result.Status);
        using var json = JsonDocument.Parse(result.Output);
        Assert.Equal((code, rule), (json.RootElement.GetProperty("refusal_code").GetString(), json.RootElement.GetProperty("rule").GetString()));
        Assert.Equal(status == 0, json.RootElement.GetProperty("granted").GetBoolean());
    }

    [Fact]
    public async Task Check_Operator_TellsTheRights()
    {
        var root = await CheckAsync(Configuration, "--user", "root", "--operator");
        var other = await CheckAsync(Configuration, "--user", "1000", "--group", "2000", "--operator");

        Assert.Equal((0, "operator rights: read, revoke"), (root.Status, root.Lines[^1]));
        Assert.Equal((5, "operator rights: none"), (other.Status, other.Lines[^1]));
    }

    [Theory]
    [InlineData("--user root")]
    [InlineData("--size 4096")]
    [InlineData("--user root --size 4096 --operator")]
    [InlineData("--user no-such-user --size 4096")]
    [InlineData("--user root --group no-such-group --size 4096")]
    [InlineData("--user 1000 --size 4096")]
    [InlineData("--user root --size 4096 --range 0+4096")]
    public async Task Check_WrongUsage_Is2(string question)
    {
        var result = await CheckAsync(Configuration, question.Split(' '));

        Assert.Equal((2, ""), (result.Status, result.Output));
        Assert.StartsWith("barctl: ", result.Errors, StringComparison.Ordinal);
    }

    private async Task<BarctlResult> CheckAsync(string configuration, params string[] question)
    {
        string file = Own(new TestDirectory()).File("broker.json");
        await File.WriteAllTextAsync(file, configuration, Cancellation);
        return await Barctl.RunAsync("/nonexistent", ["policy", "check", file, .. question]);
    }

    /// <summary>Without the directory.</summary>
    private static string Relative(string output) => output[(output.IndexOf("broker.json", StringComparison.Ordinal) is >= 0 and var at ? at : 0)..];
}
