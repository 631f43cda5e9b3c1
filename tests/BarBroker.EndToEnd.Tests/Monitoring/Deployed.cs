// SPDX-License-Identifier: Apache-2.0

using System.Text.RegularExpressions;
using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Testing;

namespace BarBroker.EndToEnd.Tests.Monitoring;

/// <summary>What deploy/ and docs/ say of metrics and alerts.</summary>
internal static partial class Deployed
{
    public static string Rules { get; } = Path.Combine(Repository.Root, "deploy/prometheus/barbroker.rules.yml");

    public static string Dashboard { get; } = Path.Combine(Repository.Root, "deploy/grafana/barbroker.json");

    public static string[] Alerts() => [.. AlertPattern().Matches(File.ReadAllText(Rules)).Select(static match => match.Groups[1].Value)];

    /// <summary>The metrics that an expression or a file names; of a histogram's series the histogram.</summary>
    public static HashSet<string> MetricsIn(string text) => [.. MetricPattern().Matches(text).Select(static match => PartPattern().Replace(match.Value, ""))];

    /// <summary>Every metric of docs/metrics.md with its tags.</summary>
    public static SortedDictionary<string, string> Documented() => Sorted(
        RowPattern().Matches(File.ReadAllText(Path.Combine(Repository.Root, "docs/metrics.md")))
            .Select(static row => (row.Groups[1].Value, Tags: TagPattern().Matches(row.Groups[2].Value).Select(static tag => tag.Groups[1].Value))));

    /// <summary>Every metric of a scrape with its tags.</summary>
    public static SortedDictionary<string, string> Scraped(string scrape) => Sorted(
        TypePattern().Matches(scrape).Select(static type => type.Groups[1].Value)
            .Select(name => (name, LabelsOf(scrape, name).Where(static label => label != "le" && !label.StartsWith("otel_scope", StringComparison.Ordinal)))));

    /// <summary>Runs promtool, which must be content; skips the test where there is none.</summary>
    public static Task<string> PromtoolAsync(params string[] arguments) => Tool.RunAsync([Program("promtool"), .. arguments]);

    public static string Program(string name)
    {
        string path = Path.Combine("/usr/bin", name);
        Assert.SkipUnless(File.Exists(path), $"there is no {path}: apt-get install prometheus");
        return path;
    }

    private static IEnumerable<string> LabelsOf(string scrape, string metric) =>
        Regex.Matches(scrape, $$"""^{{metric}}(?:_bucket|_sum|_count)?\{(.*)\} \S+""", RegexOptions.Multiline).SelectMany(static sample => LabelPattern().Matches(sample.Groups[1].Value)).Select(static label => label.Groups[1].Value);

    private static SortedDictionary<string, string> Sorted(IEnumerable<(string Name, IEnumerable<string> Tags)> metrics) =>
        new(metrics.ToDictionary(static m => m.Name, static m => string.Join(' ', m.Tags.Distinct().Order(StringComparer.Ordinal))), StringComparer.Ordinal);

    [GeneratedRegex(@"^ +- alert: (\w+)$", RegexOptions.Multiline)]
    private static partial Regex AlertPattern();

    [GeneratedRegex(@"\bbarbroker_[a-z_]+")]
    private static partial Regex MetricPattern();

    [GeneratedRegex("_(bucket|sum|count)$")]
    private static partial Regex PartPattern();

    [GeneratedRegex(@"^\| `(barbroker_\w+)` \| \w+ \| ([^|]*)\|", RegexOptions.Multiline)]
    private static partial Regex RowPattern();

    [GeneratedRegex("`([a-z_]+)`")]
    private static partial Regex TagPattern();

    [GeneratedRegex(@"^# TYPE (barbroker_\w+) ", RegexOptions.Multiline)]
    private static partial Regex TypePattern();

    [GeneratedRegex("""([a-z_]+)="(?:[^"\\]|\\.)*"(?:,|$)""")]
    private static partial Regex LabelPattern();
}
