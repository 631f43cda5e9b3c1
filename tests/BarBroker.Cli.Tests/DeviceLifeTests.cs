// SPDX-License-Identifier: Apache-2.0

using BarBroker.Testing;

namespace BarBroker.Cli.Tests;

/// <summary>What an operator is told of a drain and of a reset, before and while.</summary>
public sealed class DeviceLifeTests(BrokerFixture fixture) : CliTestBase(fixture)
{
    private const int Interrupt = 2;

    [Fact]
    public async Task DeviceReset_LeaseLivesAndNobodyCanBeAsked_IsRefusedWithWhatItWouldDo()
    {
        var (_, lease) = await HoldAsync("-s", "4096");

        var refused = await RunAsync("device", "reset", "sim0");

        Assert.Equal(2, refused.Status);
        Assert.Contains("sim0: its simulated BARs are zeroed.\n1 lease ends by it:\n", refused.Errors, StringComparison.Ordinal);
        Assert.Matches($@"  {Id(lease)} of barctl \(uid \d+, pid \d+\): 4 KiB, active", refused.Errors);
        Assert.Contains("--yes", refused.Errors, StringComparison.Ordinal);
        Assert.Equal("active", Text(await LeaseAsync(Id(lease)), "state"));
    }

    [Fact]
    public async Task DeviceReset_Yes_EndsTheLeases()
    {
        var (_, lease) = await HoldAsync("-s", "4096");

        var reset = await RunAsync("device", "reset", "sim0", "--yes");

        Assert.Equal(0, reset.Status);
        Assert.Contains("1 lease ended by the reset", reset.Errors, StringComparison.Ordinal);
        Assert.Equal("device_reset", Text(await LeaseAsync(Id(lease)), "end_reason"));
    }

    [Fact]
    public async Task DeviceReset_YesWithGrace_RecallsFirst()
    {
        var (holder, lease) = await HoldAsync("-s", "4096");

        var reset = await RunAsync("device", "reset", "sim0", "--yes", "--grace", "300ms");

        Assert.Equal(0, reset.Status);
        Assert.Equal("device_reset", Text(await LeaseAsync(Id(lease)), "end_reason"));
        Assert.Contains("is recalled", (await holder.WaitAsync()).Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task DeviceReset_DryRun_ChangesNothing()
    {
        var (_, lease) = await HoldAsync("-s", "4096");

        var plan = (await RunAsync("-o", "json", "device", "reset", "sim0", "--dry-run")).Json();

        Assert.Equal(("sim0", "function"), (Text(plan, "device"), Text(plan, "way")));
        Assert.Equal(Id(lease), Id(Assert.Single(plan.GetProperty("ends").EnumerateArray())));
        Assert.Empty(plan.GetProperty("frees").EnumerateArray());
        Assert.Equal("active", Text(await LeaseAsync(Id(lease)), "state"));
    }

    [Fact]
    public async Task DeviceReset_NobodyHasALease_AsksNothing()
    {
        var reset = await RunAsync("device", "reset", "sim0");

        Assert.Equal(0, reset.Status);
        Assert.Contains("0 leases ended by the reset", reset.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task DeviceDrain_AllEnd_SaysHowMany()
    {
        await HoldAsync("-s", "4096");
        await HoldAsync("-s", "4096");

        var drained = await RunAsync("device", "drain", "sim0", "--yes");

        Assert.Equal(0, drained.Status);
        Assert.Equal(2, drained.Lines.Count(static line => line.Contains(" ended ", StringComparison.Ordinal)));
        Assert.Contains("sim0 is drained, and stays cordoned: 2 of 2 leases ended.", drained.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task DeviceDrain_RevokeFails_IsStuck()
    {
        var (_, lease) = await HoldAsync("-s", "4096");
        await File.WriteAllTextAsync(Broker.FaultsFile, "revoke fail EIO\n", Cancellation);

        var drained = await RunAsync("device", "drain", "sim0");
        File.Delete(Broker.FaultsFile);

        Assert.Equal(6, drained.Status);
        Assert.Contains("0 of 1 leases ended, 1 stuck", drained.Errors, StringComparison.Ordinal);
        Assert.Equal(0, (await RunAsync("device", "reset", "sim0")).Status);
        await WaitForStateAsync(Id(lease), "ended");
    }

    [Fact]
    public async Task DeviceDrain_Interrupted_GoesOn()
    {
        var (_, lease) = await HoldAsync("-s", "4096");
        var drain = Start("device", "drain", "sim0", "--grace", "1h");
        await WaitForStateAsync(Id(lease), "recalled");

        drain.Signal(Interrupt);

        var result = await drain.WaitAsync();
        Assert.Equal(128 + Interrupt, result.Status);
        Assert.Contains("'barctl device show sim0' tells", result.Errors, StringComparison.Ordinal);
        Assert.Equal("recalled", Text(await LeaseAsync(Id(lease)), "state"));
        Assert.Equal("cordoned", Text((await RunAsync("-o", "json", "device", "show", "sim0")).Json(), "state"));
    }
}
