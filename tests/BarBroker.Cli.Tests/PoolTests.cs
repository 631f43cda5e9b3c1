// SPDX-License-Identifier: Apache-2.0

using BarBroker.Testing;

namespace BarBroker.Cli.Tests;

/// <summary>The pools of the broker under test: doorbells, with three slots, and memory, 64 KiB in multiples of 8 KiB.</summary>
public sealed class PoolTests(BrokerFixture fixture) : CliTestBase(fixture)
{
    private const int SigKill = 9;

    [Fact]
    public async Task List_OneSlotLeased_TellsWhatIsFree()
    {
        var (holder, lease) = await HoldAsync("-p", "doorbells", "--slot", "1");
        Assert.Equal(("doorbells", 1), (Text(lease, "pool"), lease.GetProperty("slot").GetInt32()));

        var table = (await RunAsync("pool", "list")).Lines;
        Assert.Equal(["POOL", "DEVICE", "SLOTS", "FREE", "QUARANTINED", "BYTES", "FREE", "LARGEST", "FRAGMENTED"], table[0].Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal(["doorbells", "sim0", "3", "2", "-", "-", "-", "-"], table[1].Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal(["memory", "sim0", "-", "-", "-", "64", "KiB", "64", "KiB", "0", "%"], table[2].Split(' ', StringSplitOptions.RemoveEmptyEntries));
        var json = (await RunAsync("-o", "json", "pool", "show", "doorbells")).Json();
        Assert.Equal(("0x00000000", 131072), (Text(json, "scrub"), json.GetProperty("buffers")[0].GetProperty("offset").GetInt32()));
        Assert.Equal((2, 1), (json.GetProperty("devices")[0].GetProperty("free_slots").GetInt32(), json.GetProperty("devices")[0].GetProperty("leased_slots").GetInt32()));
        Assert.Contains((await RunAsync("pool", "show", "memory")).Lines, static line => line.EndsWith("BAR 2: all from 0x30000 on, in multiples of 8 KiB", StringComparison.Ordinal));
        Assert.Contains((await RunAsync("device", "show", "sim0")).Lines, static line => line.Contains("76 KiB in pools", StringComparison.Ordinal));
        Assert.Contains((await RunAsync("lease", "show", Id(lease))).Lines, static line => line.StartsWith("pool", StringComparison.Ordinal) && line.EndsWith("doorbells (slot 1)", StringComparison.Ordinal));
        Assert.Equal(4, (await RunAsync("pool", "show", "nothing")).Status);
        holder.Signal(SigKill);
    }

    [Fact]
    public async Task Acquire_FromAPool_SlotsThenNoRoom()
    {
        var holders = new List<Barctl>();
        foreach (int slot in new[] { 0, 1, 2 })
        {
            var (holder, lease) = await HoldAsync("--pool", "doorbells");
            Assert.Equal(slot, lease.GetProperty("slot").GetInt32());
            holders.Add(holder);
        }

        var full = await RunAsync("lease", "acquire", "--pool", "doorbells");

        Assert.Equal(1, full.Status);
        Assert.Contains("pool doorbells on sim0 has no free slot", full.Errors, StringComparison.Ordinal);
        var (sized, memory) = await HoldAsync("--pool", "memory", "--size", "16KiB");
        Assert.Equal(0x30000, memory.GetProperty("buffers")[0].GetProperty("ranges")[0].GetProperty("offset").GetInt32());
        foreach (var holder in holders.Append(sized))
        {
            holder.Signal(SigKill);
        }
    }

    [Fact]
    public async Task Run_FromAPool_TheCommandKnowsItsSlot()
    {
        var result = await RunAsync("run", "--pool", "doorbells", "--slot", "2", "--", "/bin/sh", "-c", "echo $BARBROKER_POOL $BARBROKER_SLOT $BARBROKER_SIZE_0");

        Assert.Equal((0, "doorbells 2 4096"), (result.Status, result.Output.Trim()));
    }

    [Theory]
    [InlineData("--slot", "1", "--size", "4KiB")]
    [InlineData("--pool", "memory", "--range", "0x0+4KiB")]
    public async Task Acquire_OptionsThatDoNotGoTogether_AreUsageErrors(params string[] options) => Assert.Equal(2, (await RunAsync(["lease", "acquire", .. options])).Status);
}
