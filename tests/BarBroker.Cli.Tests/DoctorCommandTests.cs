// SPDX-License-Identifier: Apache-2.0

using BarBroker.Testing;

namespace BarBroker.Cli.Tests;

public sealed class DoctorCommandTests(BrokerFixture fixture) : CliTestBase(fixture)
{
    [Fact]
    public async Task Doctor_ThisHost_FindsTheBrokerInEveryFormat()
    {
        var directory = Own(new TestDirectory());
        string configuration = directory.File("broker.json");
        await File.WriteAllTextAsync(configuration, """{ "devices": [ { "name": "sim0", "kind": "simulated", "bars": [ { "size": "1MiB" } ] } ] }""", Cancellation);

        var json = (await RunAsync("-o", "json", "doctor", "--config", configuration)).Json();
        var lines = (await RunAsync("-o", "jsonl", "doctor", "--config", configuration)).JsonLines();
        var table = await RunAsync("doctor", "--config", configuration);

        Assert.Contains(json.EnumerateArray(), static finding => Text(finding, "check") == "broker" && Text(finding, "result") == "ok");
        Assert.Equal(json.EnumerateArray().Select(static finding => Text(finding, "check")), lines.Select(static finding => Text(finding, "check")));
        Assert.Equal(0, table.Status);
        Assert.Matches(@"(?m)^ok   broker         the broker \(process \d+\) answers", table.Output);
        Assert.All(table.Lines.Where(static line => line.Contains(' ', StringComparison.Ordinal)), static line => Assert.InRange(line.Length, 0, 100));
    }

    [Fact]
    public async Task Doctor_NoBrokerAndNoConfiguration_SaysSoAndFails()
    {
        var directory = Own(new TestDirectory());

        var result = await Barctl.RunAsync(directory.Path, "doctor", "--config", directory.File("none.json"));

        Assert.Equal(1, result.Status);
        Assert.Matches(@"(?m)^fail broker  ", result.Output);
        Assert.Matches(@"(?m)^fail configuration ", result.Output);
        Assert.Contains("-> Start barbrokerd", result.Output, StringComparison.Ordinal);
    }
}
