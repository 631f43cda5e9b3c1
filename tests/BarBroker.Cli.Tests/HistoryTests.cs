// SPDX-License-Identifier: Apache-2.0

using System.Text.Json;
using BarBroker.Testing;

namespace BarBroker.Cli.Tests;

public sealed class HistoryTests(BrokerFixture fixture) : CliTestBase(fixture)
{
    [Fact]
    public async Task History_RevokedLease_EveryFormatSaysWhoAndWhy()
    {
        var (holder, lease) = await HoldAsync("-s", "4096", "--label", "team=history");
        await RunAsync("lease", "revoke", Id(lease), "--comment", "in the way");
        await holder.WaitAsync();

        var table = await RunAsync("history", "--lease", Id(lease));
        var json = (await RunAsync("-o", "json", "history", "--lease", Id(lease), "--kind", "ended")).Json();
        var lines = (await RunAsync("-o", "jsonl", "history", "--label", "team=history", "--kind", "granted", "--kind", "ended", "--since", "1h")).JsonLines();
        var newest = (await RunAsync("-o", "jsonl", "history", "--label", "team=history", "--newest-first", "--limit", "1", "--kind", "ended")).JsonLines();

        Assert.Equal(0, table.Status);
        Assert.Contains(table.Lines, line => line.Contains("ended", StringComparison.Ordinal) && line.Contains("operator: uid", StringComparison.Ordinal) && line.Contains("in the way", StringComparison.Ordinal));
        var ended = Assert.Single(json.EnumerateArray());
        Assert.Equal((Id(lease), "ended", "operator"), (Text(ended, "lease_id"), Text(ended, "kind"), Text(ended, "reason")));
        Assert.EndsWith("Z", Text(ended, "time"), StringComparison.Ordinal);
        Assert.Equal(["granted", "ended"], lines.Select(entry => Text(entry, "kind")));
        Assert.Equal(ended.GetProperty("sequence").GetUInt64(), Assert.Single(newest).GetProperty("sequence").GetUInt64());
    }

    [Fact]
    public async Task History_OperatorsActions_AreThere()
    {
        await RunAsync("device", "cordon", "sim0", "--comment", "swap");
        await RunAsync("device", "uncordon", "sim0");

        var actions = (await RunAsync("-o", "jsonl", "history", "--kind", "operator", "-d", "sim0")).JsonLines();

        var cordon = actions.First(action => Text(action, "action") == "CordonDevice" && Text(action, "detail")!.Contains("swap", StringComparison.Ordinal));
        Assert.Equal("barctl", Text(cordon.GetProperty("actor"), "comm"));
        Assert.Contains(actions, action => Text(action, "action") == "UncordonDevice");
        Assert.Equal(JsonValueKind.Null, cordon.GetProperty("owner").ValueKind);
    }

    [Theory]
    [InlineData("--kind", "nonsense")]
    [InlineData("--since", "yesterday")]
    [InlineData("--limit", "-1")]
    public async Task History_Nonsense_IsAMistake(params string[] arguments) => Assert.Equal(2, (await RunAsync(["history", .. arguments])).Status);

    [Fact]
    public async Task History_NothingFits_SaysSo()
    {
        var nothing = await RunAsync("history", "--until", "2001-01-01");

        Assert.Equal((0, "Nothing is remembered of that."), (nothing.Status, nothing.Output.Trim()));
        Assert.Equal("[]", (await RunAsync("-o", "json", "history", "--until", "2001-01-01T00:00:00Z")).Output.Trim());
    }

    [Fact]
    public async Task Status_Journal_IsShown()
    {
        var status = (await RunAsync("-o", "json", "status")).Json();

        Assert.EndsWith("journal.db", Text(status.GetProperty("journal"), "path"), StringComparison.Ordinal);
        Assert.Equal(JsonValueKind.Null, status.GetProperty("journal").GetProperty("problem").ValueKind);
        Assert.Contains((await RunAsync("status")).Lines, line => line.StartsWith("journal ", StringComparison.Ordinal));
    }
}
