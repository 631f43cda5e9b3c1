// SPDX-License-Identifier: Apache-2.0

using BarBroker.Testing;

namespace BarBroker.Cli.Tests;

/// <summary>Clients, the map, top, what is shown again and again, and the same ids everywhere.</summary>
public sealed class LookingTests(BrokerFixture fixture) : CliTestBase(fixture)
{
    private const int Interrupt = 2;

    [Fact]
    public async Task ClientList_HoldersAndWaiters_AreThere()
    {
        var (holder, lease) = await HoldAsync("-s", "512KiB", "--label", "team=a");
        var waiter = Start("lease", "acquire", "-d", "sim0", "-s", "1MiB", "--wait", "60s");
        await Wait.Until(async () => (await RunAsync("-o", "jsonl", "lease", "queue")).Lines.Length == 1, "one waits");

        var clients = (await RunAsync("-o", "jsonl", "client", "list")).JsonLines().ToDictionary(static client => client.GetProperty("pid").GetInt32());
        var table = await RunAsync("client", "list");

        Assert.Equal(new[] { holder.Pid, waiter.Pid }.Order(), clients.Keys.Order());
        Assert.Equal((1, 0, 524288), (clients[holder.Pid].GetProperty("leases").GetInt32(), clients[holder.Pid].GetProperty("waiting").GetInt32(), clients[holder.Pid].GetProperty("size").GetInt32()));
        Assert.Equal((0, 1), (clients[waiter.Pid].GetProperty("leases").GetInt32(), clients[waiter.Pid].GetProperty("waiting").GetInt32()));
        Assert.Equal(Id(lease), clients[holder.Pid].GetProperty("lease_ids")[0].GetString());
        Assert.Contains(table.Lines, line => line.StartsWith($"{holder.Pid} ", StringComparison.Ordinal) && line.Contains("512 KiB", StringComparison.Ordinal));
        Assert.Equal($"{holder.Pid}\n", (await RunAsync("-o", "name", "client", "list", "--label", "team=a")).Output);
    }

    [Fact]
    public async Task DeviceMap_LeasedAndRecalled_AreDrawnWithTheirOwners()
    {
        var (first, _) = await HoldAsync("--range", "0x0+0x4000");
        var (_, second) = await HoldAsync("--range", "0x8000+0x4000");
        await RunAsync("lease", "recall", Id(second), "--grace", "1h", "--no-wait");

        var map = await RunAsync("device", "map");
        var json = (await RunAsync("-o", "json", "device", "map", "sim0")).Json()[0];

        Assert.Contains("A.b.............................................................", map.Lines);
        Assert.Contains(map.Lines, line => line.StartsWith("A  0x0+0x4000  ", StringComparison.Ordinal) && line.EndsWith($"barctl (uid {Linux.Users.EffectiveUid}, pid {first.Pid})", StringComparison.Ordinal));
        Assert.Contains(map.Lines, line => line.StartsWith("b  0x8000+0x4000  recalled", StringComparison.Ordinal) && line.Contains(Id(second), StringComparison.Ordinal));
        Assert.All(map.Lines, line => Assert.True(line.Length <= 80, line));
        var bar = json.GetProperty("bars")[0];
        Assert.Equal((0x4000, 0x4000), (bar.GetProperty("leased").GetInt32(), bar.GetProperty("recalled").GetInt32()));
        Assert.Equal(["leased", "free", "recalled", "free"], bar.GetProperty("segments").EnumerateArray().Select(static segment => Text(segment, "use")));
        Assert.Equal(4, (await RunAsync("device", "map", "sim9")).Status);
    }

    [Fact]
    public async Task Top_NotATerminal_PrintsOnce()
    {
        var (_, lease) = await HoldAsync("-s", "4096");

        var top = await RunAsync("top");

        Assert.Equal(0, top.Status);
        Assert.DoesNotContain('\e', top.Output);
        Assert.Contains("leases: 0 granted, 1 active, 0 recalled, 0 revoking, 0 stuck; 0 waiting", top.Lines);
        Assert.Contains(top.Lines, line => line.StartsWith(Id(lease), StringComparison.Ordinal));
        Assert.All(top.Lines, line => Assert.True(line.Length <= 80 && !line.EndsWith(' '), $"'{line}'"));
        Assert.Equal(1, (await RunAsync("-o", "json", "top")).Json().GetProperty("status").GetProperty("active").GetInt32());
    }

    [Fact]
    public async Task Top_OnATerminal_IsPaintedUntilQ()
    {
        var (_, lease) = await HoldAsync("-s", "4096");

        var top = await Own(Barctl.StartOnTerminal(Broker.RuntimeDirectory, "q", "top --interval 100ms")).WaitAsync();

        Assert.True(top.Status == 0, $"status {top.Status}: {top.Output}{top.Errors}");
        Assert.Contains("\e[?1049h", top.Output, StringComparison.Ordinal);
        Assert.Contains(Id(lease), top.Output, StringComparison.Ordinal);
        Assert.EndsWith("\e[?1049l", top.Output.TrimEnd('\n', '\r').Replace("\e[?1l\e>", "", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Watch_List_ShowsWhatChanges()
    {
        using var directory = new TestDirectory();
        string output = directory.File("output");
        var watch = Own(Barctl.StartProgram("sh", Broker.RuntimeDirectory, "-c", $"exec {Barctl.Built} -o jsonl lease list --watch --interval 100ms > {output}"));
        var (_, lease) = await HoldAsync("-s", "4096");

        await Wait.Until(() => File.ReadAllText(output).Split(Id(lease)).Length > 2, "the lease was shown twice");

        watch.Signal(Interrupt);
        Assert.Equal(128 + Interrupt, (await watch.WaitAsync()).Status);
    }

    [Theory]
    [InlineData("lease list --watch --interval 100ms")]
    [InlineData("-o jsonl device list --watch --interval 100ms")]
    [InlineData("lease watch")]
    public async Task Endless_NobodyReadsIt_EndsAsByAPipeSignal(string command)
    {
        var endless = Own(Barctl.StartProgram("bash", Broker.RuntimeDirectory, "-c", $"{Barctl.Built} {command} | true; exit ${{PIPESTATUS[0]}}"));

        var (status, _, error) = await endless.WaitAsync();
        Assert.Equal((128 + 13, ""), (status, error));
    }

    [Fact]
    public async Task LeaseWatch_Selectors_ShowOnlyTheirs()
    {
        using var directory = new TestDirectory();
        string output = directory.File("output");
        Own(Barctl.StartProgram("sh", Broker.RuntimeDirectory, "-c", $"exec {Barctl.Built} -o jsonl lease watch --label team=watched --state ended > {output}"));

        // Nothing tells from outside that the watch has begun.
        await Wait.Until(
            async () =>
            {
                await RunAsync("lease", "acquire", "-d", "sim0", "-s", "4096", "--hold", "0s");
                await RunAsync("lease", "acquire", "-d", "sim0", "-s", "4096", "--hold", "0s", "--label", "team=watched");
                return File.ReadAllText(output).Count(static letter => letter == '\n') >= 2;
            },
            "two ends were seen");

        var seen = File.ReadAllText(output).Split('\n')[..^1].Select(static line => System.Text.Json.JsonSerializer.Deserialize<System.Text.Json.JsonElement>(line).GetProperty("lease")).ToArray();
        Assert.All(seen, lease => Assert.Equal(("ended", "watched"), (Text(lease, "state"), Text(lease.GetProperty("labels"), "team"))));
    }

    [Fact]
    public async Task LeaseList_State_Filters()
    {
        var (_, active) = await HoldAsync("-s", "4096");
        var (_, recalled) = await HoldAsync("-s", "4096");
        await RunAsync("lease", "recall", Id(recalled), "--grace", "1h", "--no-wait");

        Assert.Equal($"{Id(recalled)}\n", (await RunAsync("-o", "name", "lease", "list", "--state", "recalled")).Output);
        Assert.Equal($"{Id(active)}\n", (await RunAsync("-o", "name", "lease", "list", "--mine", "--state", "active")).Output);
        Assert.Equal(2, (await RunAsync("-o", "name", "lease", "list", "--state", "recalled", "--state", "active")).Lines.Length);
        Assert.Equal(2, (await RunAsync("lease", "list", "--state", "asleep")).Status);
    }

    [Fact]
    public async Task LeaseList_EveryFormat_HasTheSameIds()
    {
        var (_, first) = await HoldAsync("-s", "4096", "--label", "team=a");
        var (_, second) = await HoldAsync("-s", "4096");
        string[] ids = [Id(first), Id(second)];

        Assert.Equal(ids, (await RunAsync("-o", "name", "lease", "list")).Lines);
        Assert.Equal(ids, (await RunAsync("-o", "json", "lease", "list")).Json().EnumerateArray().Select(Id));
        Assert.Equal(ids, (await RunAsync("-o", "jsonl", "lease", "list")).JsonLines().Select(Id));
        Assert.Equal(ids, (await RunAsync("-o", "table", "lease", "list")).Lines[1..].Select(static line => line.Split(' ')[0]));
        var wide = await RunAsync("-o", "wide", "lease", "list");
        Assert.Equal(ids, wide.Lines[1..].Select(static line => line.Split(' ')[0]));
        Assert.Contains("team=a", wide.Lines[1], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("status")]
    [InlineData("top")]
    [InlineData("doctor")]
    [InlineData("reload")]
    [InlineData("lease queue")]
    public async Task Name_OfWhatHasNone_IsAMistake(string command)
    {
        var result = await RunAsync([.. command.Split(' '), "-o", "name"]);

        Assert.Equal((2, ""), (result.Status, result.Output));
        Assert.Contains("-o name is for what has an id", result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Interval_WithoutWatch_IsAMistake()
    {
        Assert.Equal(2, (await RunAsync("lease", "list", "--interval", "1s")).Status);
        Assert.Equal(2, (await RunAsync("lease", "list", "--watch", "--interval", "1ms")).Status);
    }
}
