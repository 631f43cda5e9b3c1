// SPDX-License-Identifier: Apache-2.0

using System.Text.Json;
using BarBroker.Testing;

namespace BarBroker.Cli.Tests;

public sealed class OperatorTests(BrokerFixture fixture) : CliTestBase(fixture)
{
    [Fact]
    public async Task LeaseRevoke_Id_EndsTheLeaseAndTheHolderSaysSo()
    {
        var (holder, lease) = await HoldAsync("-s", "4096");

        var revoked = await RunAsync("lease", "revoke", Id(lease), "--comment", "for a test");

        Assert.Equal(0, revoked.Status);
        Assert.Contains($"lease {Id(lease)} on sim0 ended (operator", revoked.Output, StringComparison.Ordinal);
        var held = await holder.WaitAsync();
        Assert.Equal(1, held.Status);
        Assert.Contains("is lost: operator", held.Errors, StringComparison.Ordinal);
        var ended = await LeaseAsync(Id(lease));
        Assert.Equal(("ended", "operator"), (Text(ended, "state"), Text(ended, "end_reason")));
        Assert.Contains("for a test", Text(ended, "end_detail"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task LeaseRevoke_SelectorWithGrace_RecallsFirst()
    {
        var (holder, lease) = await HoldAsync("-s", "4096", "--label", "job=7");

        var revoked = (await RunAsync("-o", "json", "lease", "revoke", "--label", "job=7", "--grace", "300ms")).Json();

        Assert.Equal((Id(lease), "ended"), (Id(revoked[0]), Text(revoked[0], "state")));
        Assert.Contains("is recalled", (await holder.WaitAsync()).Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task LeaseRecall_HolderReleasesEarly_IsHonoured()
    {
        var (holder, lease) = await HoldAsync("-s", "4096");
        var recall = Start("lease", "recall", Id(lease), "--grace", "60s", "--comment", "soon");
        await WaitForStateAsync(Id(lease), "recalled");
        var recalled = await LeaseAsync(Id(lease));
        Assert.Equal("operator", Text(recalled, "recall_reason"));
        Assert.Contains("soon", Text(recalled, "recall_detail"), StringComparison.Ordinal);
        Assert.InRange(recalled.GetProperty("recall_remaining_seconds").GetDouble(), 1, 60);

        holder.Signal(15);

        Assert.Contains("ended (released", (await recall.WaitAsync()).Output, StringComparison.Ordinal);
        Assert.Contains("is recalled (operator: ", (await holder.WaitAsync()).Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task DeviceDrain_WithGrace_RevokesAtTheDeadline()
    {
        var (holder, lease) = await HoldAsync("-s", "4096");

        var drained = (await RunAsync("-o", "json", "device", "drain", "sim0", "--grace", "300ms")).Json();

        Assert.Equal((Id(lease), "ended", "operator"), (Id(drained[0]), Text(drained[0], "state"), Text(drained[0], "end_reason")));
        Assert.Contains("is recalled", (await holder.WaitAsync()).Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task LeaseRecall_WithoutGrace_IsAMistake()
    {
        Assert.Equal(2, (await RunAsync("lease", "recall", "ls-1")).Status);
    }

    [Fact]
    public async Task LeaseRevoke_DeviceFails_IsStuckUntilTheReset()
    {
        var (_, lease) = await HoldAsync("-s", "4096");
        await File.WriteAllTextAsync(Broker.FaultsFile, "revoke fail EIO\n", Cancellation);

        var revoked = await RunAsync("lease", "revoke", Id(lease));

        Assert.Equal(6, revoked.Status);
        Assert.Contains("stuck", revoked.Output, StringComparison.Ordinal);
        Assert.Contains((await RunAsync("device", "show", "sim0")).Lines, line => line.StartsWith("!..", StringComparison.Ordinal));
        File.Delete(Broker.FaultsFile);
        Assert.Equal(0, (await RunAsync("device", "reset", "sim0")).Status);
        Assert.Equal("ended", Text(await LeaseAsync(Id(lease)), "state"));
    }

    [Fact]
    public async Task DeviceCordon_Acquire_IsRefusedUntilUncordon()
    {
        Assert.Equal(0, (await RunAsync("device", "cordon", "sim0", "--comment", "maintenance")).Status);

        var refused = await RunAsync("lease", "acquire", "-d", "sim0", "-s", "4096", "--hold", "0s");

        Assert.Equal(1, refused.Status);
        Assert.Contains("cordoned", refused.Errors, StringComparison.Ordinal);
        Assert.Equal("ready", Text((await RunAsync("-o", "json", "device", "uncordon", "sim0")).Json(), "state"));
        Assert.Equal(0, (await RunAsync("lease", "acquire", "-d", "sim0", "-s", "4096", "--hold", "0s")).Status);
    }

    [Fact]
    public async Task DeviceDrain_Leases_EndAndTheDeviceIsCordoned()
    {
        var (_, first) = await HoldAsync("-s", "4096");
        var (_, second) = await HoldAsync("-s", "4096");

        var drained = (await RunAsync("-o", "jsonl", "device", "drain", "sim0", "--yes")).JsonLines();

        Assert.Equal(new[] { Id(first), Id(second) }.Order(), drained.Select(Id).Order());
        Assert.Equal("cordoned", Text((await RunAsync("-o", "json", "device", "show", "sim0")).Json(), "state"));
    }

    [Fact]
    public async Task LeaseWatch_Jsonl_TellsALifeInOrder()
    {
        using var directory = new TestDirectory();
        string output = directory.File("output");
        Own(Barctl.StartProgram("sh", Broker.RuntimeDirectory, "-c", $"exec {Barctl.Built} -o jsonl lease watch > {output}"));
        string?[] states = [];

        // Nothing tells from outside that the watch has begun: leases come and go until it saw a whole life.
        await Wait.Until(
            async () =>
            {
                await RunAsync("lease", "acquire", "-d", "sim0", "-s", "4096", "--hold", "0s");
                states = Lives(output).FirstOrDefault(life => life[0] == "granted" && life[^1] == "ended") ?? [];
                return states.Length > 0;
            },
            "the watch saw a lease from its grant to its end");

        Assert.Contains("active", states);
        Assert.Equal(states.Distinct(), states);
    }

    private static IEnumerable<string?[]> Lives(string file) => File.ReadAllText(file).Split('\n')[..^1]
        .Select(line => JsonSerializer.Deserialize<JsonElement>(line))
        .Where(happened => happened.TryGetProperty("lease", out _))
        .Select(happened => happened.GetProperty("lease"))
        .GroupBy(Id, lease => Text(lease, "state"))
        .Select(life => life.ToArray());
}
