// SPDX-License-Identifier: Apache-2.0

using System.Text.Json;
using BarBroker.Testing;

namespace BarBroker.Cli.Tests;

public sealed class OutputTests(BrokerFixture fixture) : CliTestBase(fixture)
{
    [Fact]
    public async Task DeviceList_EveryFormat_HasTheSameDevice()
    {
        var table = await RunAsync("device", "list");
        var json = (await RunAsync("device", "list", "-o", "json")).Json();
        var lines = (await RunAsync("-o", "jsonl", "device", "list")).JsonLines();

        Assert.Contains(table.Lines, line => line.StartsWith("sim0 ", StringComparison.Ordinal));
        Assert.Equal("sim0", Text(Assert.Single(json.EnumerateArray()), "name"));
        Assert.Equal("sim0", Text(Assert.Single(lines), "name"));
        Assert.Equal(1048576ul, lines[0].GetProperty("bars")[0].GetProperty("size").GetUInt64());
    }

    [Fact]
    public async Task Tables_NotATerminal_AreNarrowAndPlain()
    {
        await HoldAsync("-s", "64KiB");

        foreach (string[] command in new string[][] { ["device", "list"], ["device", "show", "sim0"], ["lease", "list"], ["status"] })
        {
            var result = await RunAsync(command);
            Assert.Equal(0, result.Status);
            Assert.DoesNotContain('\e', result.Output);
            Assert.All(result.Lines, line => Assert.True(line.Length <= 80 && !line.EndsWith(' '), $"{string.Join(' ', command)}: '{line}'"));
        }
    }

    [Fact]
    public async Task DeviceShow_Lease_IsDrawn()
    {
        var (_, lease) = await HoldAsync("--range", "0x4000+0x4000");

        var table = await RunAsync("device", "show", "sim0");
        var json = (await RunAsync("-o", "json", "device", "show", "sim0")).Json();

        Assert.Contains(table.Lines, line => line.StartsWith(".A....", StringComparison.Ordinal));
        Assert.Contains(table.Lines, line => line.StartsWith("A  0x4000+0x4000  leased", StringComparison.Ordinal) && line.EndsWith(Id(lease), StringComparison.Ordinal));
        var leased = json.GetProperty("segments").EnumerateArray().Single(segment => Text(segment, "use") == "leased");
        Assert.Equal(Id(lease), leased.GetProperty("lease_ids")[0].GetString());
    }

    [Fact]
    public async Task LeaseShow_EveryFormat_HasTheSameId()
    {
        var (_, lease) = await HoldAsync("-s", "8KiB", "--label", "team=storage", "--ttl", "20s");
        string id = Id(lease);

        var shown = await LeaseAsync(id);
        var table = await RunAsync("lease", "show", id);
        var list = await RunAsync("lease", "list");

        Assert.Equal((id, "active", "read_write"), (Text(shown, "id"), Text(shown, "state"), Text(shown, "access")));
        Assert.Equal(20, shown.GetProperty("ttl_seconds").GetDouble());
        Assert.Equal("storage", shown.GetProperty("labels").GetProperty("team").GetString());
        Assert.Equal(JsonValueKind.Null, shown.GetProperty("end_reason").ValueKind);
        Assert.Contains($"lease   {id}", table.Output, StringComparison.Ordinal);
        Assert.Contains("team=storage", table.Output, StringComparison.Ordinal);
        Assert.Contains(list.Lines, line => line.StartsWith($"{id} ", StringComparison.Ordinal));
        Assert.Equal(id, Id(Assert.Single(await LeasesAsync("--label", "team=storage"))));
        Assert.Empty(await LeasesAsync("--label", "team=other"));
        Assert.Equal(id, Id(Assert.Single(await LeasesAsync("--mine"))));
    }

    [Fact]
    public async Task Status_Json_CountsLeasesAndWarnsOfSimulation()
    {
        await HoldAsync("-s", "4096");

        var status = (await RunAsync("-o", "json", "status")).Json();

        Assert.Equal((1, Broker.Pid), (status.GetProperty("active").GetInt32(), status.GetProperty("pid").GetInt32()));
        Assert.Contains("sim0", status.GetProperty("warnings")[0].GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Help_EveryCommand_Exits0()
    {
        foreach (string[] command in new string[][] { [], ["device"], ["lease"], ["lease", "acquire"], ["lease", "revoke"], ["run"], ["device", "show"] })
        {
            var result = await Barctl.RunAsync(null, [.. command, "--help"]);
            Assert.Equal((0, ""), (result.Status, result.Errors));
        }
    }
}
