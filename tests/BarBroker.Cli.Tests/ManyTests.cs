// SPDX-License-Identifier: Apache-2.0

using BarBroker.Testing;

namespace BarBroker.Cli.Tests;

/// <summary>What many would feel is asked for first, and can be looked at before.</summary>
public sealed class ManyTests(BrokerFixture fixture) : CliTestBase(fixture)
{
    [Theory]
    [InlineData("lease revoke --device sim0")]
    [InlineData("lease recall --device sim0 --grace 1s")]
    [InlineData("device drain sim0")]
    public async Task Many_NobodyCanBeAsked_IsRefusedWithWhatItWouldDo(string command)
    {
        var (_, first) = await HoldAsync("-s", "4096");
        var (_, second) = await HoldAsync("-s", "4096");

        var refused = await RunAsync(command.Split(' '));

        Assert.Equal((2, ""), (refused.Status, refused.Output));
        Assert.StartsWith("2 leases end by it:\n", refused.Errors, StringComparison.Ordinal);
        Assert.Contains($"  {Id(first)} of barctl (uid ", refused.Errors, StringComparison.Ordinal);
        Assert.Contains("nothing was done, since nobody can be asked here; with --yes", refused.Errors, StringComparison.Ordinal);
        Assert.Equal(("active", "active"), (Text(await LeaseAsync(Id(first)), "state"), Text(await LeaseAsync(Id(second)), "state")));
        Assert.Equal("ready", Text((await RunAsync("-o", "json", "device", "show", "sim0")).Json(), "state"));
    }

    [Theory]
    [InlineData("lease revoke --device sim0")]
    [InlineData("device drain sim0")]
    public async Task Many_DryRun_ListsThemAndChangesNothing(string command)
    {
        var (_, first) = await HoldAsync("-s", "4096");
        var (_, second) = await HoldAsync("-s", "4096");

        var plan = await RunAsync([.. command.Split(' '), "--dry-run", "-o", "name"]);

        Assert.Equal((0, $"{Id(first)}\n{Id(second)}\n"), (plan.Status, plan.Output));
        Assert.Contains("nothing was done; ", plan.Errors, StringComparison.Ordinal);
        Assert.Equal("active", Text(await LeaseAsync(Id(first)), "state"));
        Assert.Equal("ready", Text((await RunAsync("-o", "json", "device", "show", "sim0")).Json(), "state"));
    }

    [Fact]
    public async Task Revoke_SeveralIdsWithYes_EndsThem()
    {
        var (_, first) = await HoldAsync("-s", "4096");
        var (_, second) = await HoldAsync("-s", "4096");

        var revoked = await RunAsync("lease", "revoke", Id(first), Id(second), "--yes", "-o", "name");

        Assert.Equal(new[] { Id(first), Id(second) }.Order(), revoked.Lines.Order());
        Assert.Equal(0, revoked.Status);
    }

    [Fact]
    public async Task Revoke_OneUnknownAmongIds_Is4AndEndsNone()
    {
        var (_, lease) = await HoldAsync("-s", "4096");

        var revoked = await RunAsync("lease", "revoke", Id(lease), "ls-9999");

        Assert.Equal((4, ""), (revoked.Status, revoked.Output));
        Assert.Equal("active", Text(await LeaseAsync(Id(lease)), "state"));
    }

    [Fact]
    public async Task Revoke_NothingIsMeant_SaysSo()
    {
        var revoked = await RunAsync("lease", "revoke", "--label", "nobody=has");

        Assert.Equal((0, "", "barctl: no lease is meant by that; nothing was done.\n"), (revoked.Status, revoked.Output, revoked.Errors));
    }

    [Fact]
    public async Task Drain_NoWait_ReturnsWhileTheGraceLasts()
    {
        var (_, lease) = await HoldAsync("-s", "4096");

        var drain = await RunAsync("device", "drain", "sim0", "--grace", "1h", "--no-wait");

        Assert.Equal(0, drain.Status);
        Assert.Contains("the drain of sim0 goes on, with 1 of 1 leases left", drain.Errors, StringComparison.Ordinal);
        Assert.Equal("recalled", Text(await LeaseAsync(Id(lease)), "state"));
    }

    [Theory]
    [InlineData("y\\n", 0, "ended")]
    [InlineData("n\\n", 1, "active")]
    [InlineData("\\n", 1, "active")]
    public async Task Revoke_OnATerminal_Asks(string typed, int status, string state)
    {
        var (_, first) = await HoldAsync("-s", "4096");
        await HoldAsync("-s", "4096");

        var revoked = await Own(Barctl.StartOnTerminal(Broker.RuntimeDirectory, typed, "lease revoke --device sim0")).WaitAsync();

        Assert.True(revoked.Status == status, $"status {revoked.Status}: {revoked.Output}{revoked.Errors}");
        Assert.Contains("Revoke them? [y/N]", revoked.Output, StringComparison.Ordinal);
        Assert.Equal(state, Text(await LeaseAsync(Id(first)), "state"));
    }

    [Fact]
    public async Task Revoke_YesOnATerminal_ShowsHowFarItIs()
    {
        var (_, first) = await HoldAsync("-s", "4096");
        var (_, second) = await HoldAsync("-s", "4096");

        var revoked = await Own(Barctl.StartOnTerminal(Broker.RuntimeDirectory, "", $"lease revoke --yes {Id(first)} {Id(second)}")).WaitAsync();

        Assert.True(revoked.Status == 0, $"status {revoked.Status}: {revoked.Output}{revoked.Errors}");
        Assert.Contains("of 2 ended", revoked.Output, StringComparison.Ordinal);
        Assert.Contains($"lease {Id(second)} on sim0 ended", revoked.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CordonAndReset_DryRun_ChangeNothing()
    {
        var cordon = await RunAsync("device", "cordon", "sim0", "--dry-run");

        Assert.Equal((0, "barctl: nothing was done; sim0 would be cordoned.\n"), (cordon.Status, cordon.Errors));
        Assert.Equal("ready", Text((await RunAsync("-o", "json", "device", "show", "sim0")).Json(), "state"));
        Assert.Equal(4, (await RunAsync("device", "uncordon", "sim9", "--dry-run")).Status);
    }
}
