// SPDX-License-Identifier: Apache-2.0

using BarBroker.Testing;

namespace BarBroker.Cli.Tests;

/// <summary>The program that users get: Native AOT has its own ways to fail.</summary>
public sealed class PublishedTests(BrokerFixture fixture) : CliTestBase(fixture)
{
    [Fact]
    public async Task Published_Commands_WorkAsTheBuiltOnes()
    {
        Assert.SkipUnless(File.Exists(Barctl.Published), $"{Barctl.Published} is not there: run scripts/publish, which needs clang and zlib1g-dev");

        Assert.Equal("sim0", Text((await PublishedAsync("-o", "json", "device", "list")).Json()[0], "name"));
        Assert.Contains("BAR 0: 1 MiB", (await PublishedAsync("device", "show", "sim0")).Output, StringComparison.Ordinal);
        Assert.Contains("sim0 is simulated", (await PublishedAsync("status")).Output, StringComparison.Ordinal);
        var run = await PublishedAsync("run", "-d", "sim0", "-s", "4096", "--", "sh", "-c", "readlink /proc/self/fd/$BARBROKER_FD_0; exit 11");
        Assert.Equal(11, run.Status);
        Assert.Contains("memfd:barbroker:sim0", run.Output, StringComparison.Ordinal);
        var held = await PublishedAsync("-o", "json", "lease", "acquire", "-d", "sim0", "-s", "4096", "--hold", "0s");
        Assert.Equal("released", Text((await PublishedAsync("-o", "json", "lease", "show", Id(held.Json()))).Json(), "end_reason"));
        var refused = await PublishedAsync("run", "-d", "sim0", "-s", "100", "--", "true");
        Assert.Equal(2, refused.Status);
        Assert.Contains("size", refused.Errors, StringComparison.Ordinal);
        Assert.Equal(2, (await PublishedAsync("nonsense")).Status);
    }

    private async Task<BarctlResult> PublishedAsync(params string[] arguments) => await Own(Barctl.StartProgram(Barctl.Published, Broker.RuntimeDirectory, arguments)).WaitAsync();
}
