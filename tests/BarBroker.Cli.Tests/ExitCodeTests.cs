// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using BarBroker.Linux;
using BarBroker.Testing;

namespace BarBroker.Cli.Tests;

public sealed class ExitCodeTests(BrokerFixture fixture) : CliTestBase(fixture)
{
    public static TheoryData<string[]> UsageErrors { get; } = new(
        ["frobnicate"],
        [],
        ["device", "show"],
        ["lease", "acquire"],
        ["lease", "acquire", "-s", "1.5K"],
        ["lease", "acquire", "-s", "4096", "--range", "0+4096"],
        ["lease", "acquire", "--range", "0+4096", "--align", "8KiB"],
        ["lease", "acquire", "-s", "4096", "--label", "nonsense"],
        ["lease", "acquire", "-s", "4096", "-b", "-1"],
        ["lease", "revoke"],
        ["lease", "revoke", "x", "--device", "y"],
        ["lease", "list", "-o", "xml"],
        ["run", "-s", "4096"],
        ["__exec"]);

    [Theory]
    [MemberData(nameof(UsageErrors))]
    public async Task Usage_Wrong_Is2AndOnlyOnStderr(string[] arguments)
    {
        var result = await RunAsync(arguments);

        Assert.Equal((2, ""), (result.Status, result.Output));
        Assert.StartsWith("barctl: ", result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Acquire_BrokerRefusesAField_Is2AndNamesIt()
    {
        var result = await RunAsync("lease", "acquire", "-d", "sim0", "-s", "100");

        Assert.Equal(2, result.Status);
        Assert.Contains("size", result.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT is \"collector:4317\"", "OTEL_EXPORTER_OTLP_ENDPOINT=collector:4317")]
    [InlineData("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is \"nowhere\"", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=nowhere", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1")]
    [InlineData("unset OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS=nonsense", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1")]
    public async Task Trace_CannotBeSent_IsSaidAndTheCommandGoesOn(string said, params string[] environment)
    {
        using var barctl = Barctl.StartProgram("env", Broker.RuntimeDirectory, [.. environment, Barctl.Built, "-o", "jsonl", "device", "list"]);

        var result = await barctl.WaitAsync();

        Assert.Equal(0, result.Status);
        Assert.Contains("\"name\":\"sim0\"", result.Output, StringComparison.Ordinal);
        Assert.StartsWith("barctl: no span is sent: ", result.Errors, StringComparison.Ordinal);
        Assert.Contains(said, result.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("status")]
    [InlineData("device list")]
    [InlineData("lease list --mine")]
    [InlineData("lease acquire -s 4096")]
    [InlineData("run -s 4096 -- true")]
    public async Task Broker_NotThere_Is3AndNamesTheSocket(string command)
    {
        var result = await Barctl.RunAsync("/nonexistent", command.Split(' '));

        Assert.Equal((3, ""), (result.Status, result.Output));
        Assert.Contains("/nonexistent/", result.Errors, StringComparison.Ordinal);
        Assert.Contains("is barbrokerd running", result.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("lease show ls-9999")]
    [InlineData("lease revoke ls-9999")]
    [InlineData("device show sim9")]
    [InlineData("device cordon sim9")]
    [InlineData("run -d sim9 -s 4096 -- true")]
    public async Task Thing_Unknown_Is4AndNamed(string command)
    {
        var result = await RunAsync(command.Split(' '));

        Assert.Equal((4, ""), (result.Status, result.Output));
        Assert.Contains("9", result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Socket_NotForThisUser_Is5()
    {
        if (Users.EffectiveUid == 0)
        {
            // Root may open everything: another user is needed.
            Process.Start("chmod", ["0755", Path.GetDirectoryName(Broker.RuntimeDirectory)!]).WaitForExit();
            using var barctl = Barctl.StartProgram("setpriv", Broker.RuntimeDirectory, "--reuid=65534", "--regid=65534", "--clear-groups", Barctl.Built, "status");
            var result = await barctl.WaitAsync();
            Assert.SkipWhen(result.Errors.StartsWith("setpriv", StringComparison.Ordinal), $"user 65534 may not run {Barctl.Built}: {result.Errors}");
            AssertDenied(result);
        }
        else
        {
            Users.SetGroupAndMode(Path.Combine(Broker.RuntimeDirectory, "admin.sock"), group: null, mode: 0);
            AssertDenied(await RunAsync("status"));
            var own = await RunAsync("lease", "list");
            Assert.Equal(0, own.Status);
            Assert.Contains("this user's own leases", own.Errors, StringComparison.Ordinal);
        }
    }

    private static void AssertDenied(BarctlResult result)
    {
        Assert.True(result.Status == 5, $"status {result.Status}: {result.Errors}");
        Assert.Contains("may not open it", result.Errors, StringComparison.Ordinal);
    }
}
