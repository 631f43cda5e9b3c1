// SPDX-License-Identifier: Apache-2.0

using System.Text.Json;
using BarBroker.Testing;

namespace BarBroker.Cli.Tests;

/// <summary>Processes that wait for each other's leases.</summary>
public sealed class QueueTests(BrokerFixture fixture) : CliTestBase(fixture)
{
    private const int SigKill = 9;

    [Fact]
    public async Task Acquire_HolderIsKilled_TheNextInTheQueueGetsTheRange()
    {
        var (holder, first) = await HoldAsync("-s", "1MiB");
        var next = Start("lease", "acquire", "-d", "sim0", "-s", "1MiB", "--wait", "60s");
        await WaitForQueueAsync(1);
        var last = Start("lease", "acquire", "-d", "sim0", "-s", "4KiB", "--wait", "60s");
        var queue = await WaitForQueueAsync(2);
        Assert.Equal([next.Pid, last.Pid], queue.Select(static w => w.GetProperty("owner").GetProperty("pid").GetInt32()));
        Assert.Equal([1, 2], queue.Select(static w => w.GetProperty("position").GetInt32()));
        Assert.Contains("0:0x0+0x100000", (await RunAsync("lease", "queue")).Output, StringComparison.Ordinal);
        Assert.Contains((await RunAsync("device", "show", "sim0")).Lines, static line => line.StartsWith("waiting", StringComparison.Ordinal));

        holder.Signal(SigKill);

        await WaitForHolderAsync(next.Pid);
        Assert.Equal("client_exited", Text(await LeaseAsync(Id(first)), "end_reason"));
        await WaitForQueueAsync(1);
        next.Signal(SigKill);
        await WaitForHolderAsync(last.Pid);
        last.Signal(SigKill);
    }

    [Fact]
    public async Task Acquire_WaiterIsKilled_LeavesTheQueue()
    {
        var (holder, _) = await HoldAsync("-s", "1MiB");
        var waiter = Start("lease", "acquire", "-d", "sim0", "-s", "4KiB", "--wait", "60s");
        await WaitForQueueAsync(1);

        waiter.Signal(SigKill);

        await WaitForQueueAsync(0);
        holder.Signal(SigKill);
    }

    [Fact]
    public async Task Acquire_WaitIsOver_SaysWhatItWaitedFor()
    {
        var (holder, lease) = await HoldAsync("--range", "0x0+4KiB");

        var refused = await RunAsync("lease", "acquire", "-d", "sim0", "--range", "0x0+4KiB", "--wait", "200ms");

        Assert.Equal(1, refused.Status);
        Assert.Contains($"waited for 0.2 s: range [0x0, +0x1000) of BAR 0 of sim0 is held by lease {Id(lease)}", refused.Errors, StringComparison.Ordinal);
        holder.Signal(SigKill);
    }

    private async Task<JsonElement[]> WaitForQueueAsync(int count)
    {
        JsonElement[] queue = [];
        await Wait.Until(async () => (queue = (await RunAsync("-o", "jsonl", "lease", "queue")).JsonLines()).Length == count, $"{count} acquires wait");
        return queue;
    }

    private Task WaitForHolderAsync(int pid) => Wait.Until(
        async () => (await LeasesAsync()).Any(lease => lease.GetProperty("owner").GetProperty("pid").GetInt32() == pid && Text(lease, "state") == "active"), "the waiter holds its lease");
}
