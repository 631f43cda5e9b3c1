// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Globalization;

namespace BarBroker.Bench;

/// <summary>Durations of one operation.</summary>
internal sealed class Samples(int capacity)
{
    private readonly List<double> _microseconds = new(capacity);

    public void AddSince(long timestamp) => _microseconds.Add(Stopwatch.GetElapsedTime(timestamp).TotalMicroseconds);

    public void Add(double microseconds) => _microseconds.Add(microseconds);

    /// <param name="unit">Microseconds in what it is told in.</param>
    public string Range(double unit = 1) => string.Create(CultureInfo.InvariantCulture, $"{Quantile(0) / unit:F0}-{Quantile(1) / unit:F0}");

    public void Clear() => _microseconds.Clear();

    /// <summary>In microseconds; the fraction is 0.5 for the median.</summary>
    public double Quantile(double fraction)
    {
        _microseconds.Sort();
        return _microseconds[(int)((_microseconds.Count - 1) * fraction)];
    }
}
