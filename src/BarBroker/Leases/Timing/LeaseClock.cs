// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>Timestamps of one <see cref="TimeProvider"/> and what they mean as spans. In production they are CLOCK_BOOTTIME.</summary>
internal readonly struct LeaseClock(TimeProvider time)
{
    /// <summary>Longer spans are cut to this, so that no sum of a timestamp and a span overflows.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromDays(365);

    private readonly double _perTick = (double)time.TimestampFrequency / TimeSpan.TicksPerSecond;

    public TimeProvider Provider => time;

    public long Now => time.GetTimestamp();

    public long Units(TimeSpan span) => (long)((span < Longest ? span : Longest).Ticks * _perTick);

    public TimeSpan Span(long units) => TimeSpan.FromTicks((long)(units / _perTick));
}
