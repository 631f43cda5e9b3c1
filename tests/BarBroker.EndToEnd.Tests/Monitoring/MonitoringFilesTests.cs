// SPDX-License-Identifier: Apache-2.0

using System.Text.Json;
using System.Text.RegularExpressions;
using BarBroker.Testing;

namespace BarBroker.EndToEnd.Tests.Monitoring;

/// <summary>deploy/prometheus, deploy/grafana and docs/operations.md fit one another and the documented metrics.</summary>
public sealed partial class MonitoringFilesTests : TestBase
{
    [Fact]
    public void Rules_Metrics_AreDocumented() => Assert.Empty(Deployed.MetricsIn(File.ReadAllText(Deployed.Rules)).Except(Deployed.Documented().Keys));

    [Fact]
    public void Dashboard_Metrics_AreDocumented() => Assert.Empty(Expressions().SelectMany(Deployed.MetricsIn).Except(Deployed.Documented().Keys));

    [Fact]
    public void Dashboard_DocumentedMetrics_AreOnIt() => Assert.Empty(Deployed.Documented().Keys.Except(Expressions().SelectMany(Deployed.MetricsIn)));

    [Fact]
    public void Alerts_Documentation_ExplainsEachInOrder()
    {
        string text = File.ReadAllText(Path.Combine(Repository.Root, "docs/operations.md"));
        var sections = SectionPattern().Matches(text);

        Assert.Equal(Deployed.Alerts(), sections.Select(static section => section.Groups[1].Value));
        Assert.All(sections, static section =>
        {
            Assert.Contains("**Means**", section.Groups[2].Value, StringComparison.Ordinal);
            Assert.Contains("**Do**", section.Groups[2].Value, StringComparison.Ordinal);
        });
    }

    [Fact]
    public void Alerts_Runbooks_AreTheirSections()
    {
        var runbooks = RunbookPattern().Matches(File.ReadAllText(Deployed.Rules)).Select(static match => match.Groups[1].Value);

        Assert.Equal(Deployed.Alerts().Select(static alert => $"docs/operations.md#{alert.ToLowerInvariant()}"), runbooks);
    }

    [Fact]
    public void Alerts_UnitTests_SeeEachFire()
    {
        string tests = File.ReadAllText(Path.Combine(Repository.Root, "tests/prometheus/rules.test.yml"));

        Assert.Empty(Deployed.Alerts().Except(FiresPattern().Matches(tests).Select(static match => match.Groups[1].Value)));
    }

    [Fact]
    public async Task Dashboard_Expressions_ParseAsPrometheusReadsThem()
    {
        var directory = Own(new TestDirectory());
        var rules = Expressions().Select(static (expression, number) => $"      - record: panel:expression:{number}\n        expr: {JsonSerializer.Serialize(Filled(expression))}\n");
        await File.WriteAllTextAsync(directory.File("rules.yml"), $"groups:\n  - name: dashboard\n    rules:\n{string.Concat(rules)}", Cancellation);

        await Deployed.PromtoolAsync("check", "rules", directory.File("rules.yml"));
    }

    /// <summary>What Grafana needs to load it: numbers that occur once, places that do not overlap, a data source that is chosen when it is loaded.</summary>
    [Fact]
    public void Dashboard_Panels_HaveTheirOwnPlacesAndTheChosenSource()
    {
        using var dashboard = JsonDocument.Parse(File.ReadAllText(Deployed.Dashboard));
        var panels = dashboard.RootElement.GetProperty("panels").EnumerateArray().ToArray();
        var taken = new HashSet<(int X, int Y)>();

        Assert.Equal(panels.Length, panels.Select(static panel => panel.GetProperty("id").GetInt32()).Distinct().Count());
        foreach (var panel in panels)
        {
            var place = panel.GetProperty("gridPos");
            int Of(string name) => place.GetProperty(name).GetInt32();
            Assert.InRange(Of("x") + Of("w"), 1, 24);
            Assert.All(Enumerable.Range(Of("x"), Of("w")).SelectMany(x => Enumerable.Range(Of("y"), Of("h")).Select(y => (x, y))), cell => Assert.True(taken.Add(cell), $"{panel.GetProperty("title")} overlaps another panel at {cell}"));
            if (panel.TryGetProperty("targets", out var targets))
            {
                Assert.All(targets.EnumerateArray(), static target => Assert.Equal("${datasource}", target.GetProperty("datasource").GetProperty("uid").GetString()));
            }
        }

        Assert.True(dashboard.RootElement.GetProperty("schemaVersion").GetInt32() >= 36);
        Assert.Equal("datasource", dashboard.RootElement.GetProperty("templating").GetProperty("list")[0].GetProperty("type").GetString());
    }

    private static string[] Expressions()
    {
        using var dashboard = JsonDocument.Parse(File.ReadAllText(Deployed.Dashboard));
        return [.. dashboard.RootElement.GetProperty("panels").EnumerateArray()
            .SelectMany(static panel => panel.TryGetProperty("targets", out var targets) ? targets.EnumerateArray().ToArray() : [])
            .Select(static target => target.GetProperty("expr").GetString()!)];
    }

    private static string Filled(string expression) => VariablePattern().Replace(expression, static match => match.Value == "$__rate_interval" ? "1m" : ".*");

    [GeneratedRegex(@"\$\w+")]
    private static partial Regex VariablePattern();

    [GeneratedRegex(@"^### (BarBroker\w+)\n(.*?)(?=^#|\z)", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex SectionPattern();

    [GeneratedRegex(@"^ +runbook: (\S+)$", RegexOptions.Multiline)]
    private static partial Regex RunbookPattern();

    [GeneratedRegex(@"^ +alertname: (\w+)\n +exp_alerts:\n", RegexOptions.Multiline)]
    private static partial Regex FiresPattern();
}
