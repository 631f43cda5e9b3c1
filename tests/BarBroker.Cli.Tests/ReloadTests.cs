// SPDX-License-Identifier: Apache-2.0

using System.Text.Json;
using BarBroker.Testing;

namespace BarBroker.Cli.Tests;

public sealed class ReloadTests : TestBase
{
    [Fact]
    public async Task Reload_OtherConfiguration_TellsWhatHoldsAndWhatDoesNot()
    {
        await using var broker = await BrokerProcess.StartAsync();
        await ChangeAsync(broker, "\"enabled\": false", "\"enabled\": true, \"address\": \"127.0.0.1:0\"");
        await ChangeAsync(broker, "\"devices\"", "\"policy\": { \"rules\": [ { \"name\": \"none\", \"deny\": true } ] }, \"devices\"");

        var reload = await Barctl.RunAsync(broker.RuntimeDirectory, "reload", "--apply");

        Assert.Equal((0, "in force: policy (1 rule)\nneeds a restart: metrics\nleases that end: 0\n", ""), (reload.Status, reload.Output, reload.Errors));
        var acquire = await Barctl.RunAsync(broker.RuntimeDirectory, "lease", "acquire", "-s", "4096");
        Assert.Equal(5, acquire.Status);
        Assert.Contains("policy rule none refuses uid", acquire.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Reload_FaultyFile_Is1WithEveryFault()
    {
        await using var broker = await BrokerProcess.StartAsync();
        await ChangeAsync(broker, "\"minTtl\"", "\"minimumTtl\"");

        var reload = await Barctl.RunAsync(broker.RuntimeDirectory, "reload");
        using var json = JsonDocument.Parse((await Barctl.RunAsync(broker.RuntimeDirectory, "-o", "json", "reload")).Output);

        Assert.Equal(1, reload.Status);
        Assert.StartsWith("line 2: leases.minimumTtl: is no known key; ", reload.Output, StringComparison.Ordinal);
        Assert.Equal("barctl: the configuration has a fault; nothing has changed\n", reload.Errors);
        Assert.Equal("leases.minimumTtl", Assert.Single(json.RootElement.GetProperty("faults").EnumerateArray()).GetProperty("path").GetString());
        Assert.Equal(JsonValueKind.Null, json.RootElement.GetProperty("ended").ValueKind);
    }

    private static async Task ChangeAsync(BrokerProcess broker, string from, string to)
    {
        string text = await File.ReadAllTextAsync(broker.ConfigurationFile, Cancellation);
        Assert.Contains(from, text, StringComparison.Ordinal);
        await File.WriteAllTextAsync(broker.ConfigurationFile, text.Replace(from, to, StringComparison.Ordinal), Cancellation);
    }
}
