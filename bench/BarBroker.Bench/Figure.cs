// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Bench;

/// <summary>One measured figure.</summary>
/// <param name="Bare">The same by the bare kernel operation, in the same run and unit; null where there is no such thing.</param>
/// <param name="Ratio"><paramref name="Value"/> to <paramref name="Bare"/>.</param>
internal sealed record Figure(string Name, string Unit, double Value, double? Bare, double? Ratio)
{
    /// <summary>The smallest and the largest of what the figure is the median of, and of what the bare one is; empty for a single measurement.</summary>
    public string Spread { get; private init; } = "";

    /// <summary>Of one sample for each turn.</summary>
    public static Figure Of(string name, string unit, Samples value, Samples bare) =>
        Of(name, unit, value.Quantile(0.5), bare.Quantile(0.5)) with { Spread = $"{value.Range()} / {bare.Range()}" };

    /// <summary>The same, of samples in microseconds told in milliseconds.</summary>
    public static Figure OfMilliseconds(string name, Samples value, Samples bare) =>
        Of(name, "ms", value.Quantile(0.5) / 1000, bare.Quantile(0.5) / 1000) with { Spread = $"{value.Range(1000)} / {bare.Range(1000)}" };

    public static Figure Of(string name, string unit, double value, double? bare = null) =>
        new(name, unit, Math.Round(value, 3), bare is { } b ? Math.Round(b, 3) : null, bare is { } c and not 0 ? Math.Round(value / c, 2) : null);
}
