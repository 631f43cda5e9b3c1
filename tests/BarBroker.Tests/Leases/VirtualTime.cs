// SPDX-License-Identifier: Apache-2.0

using Microsoft.Extensions.Time.Testing;

namespace BarBroker.Tests.Leases;

/// <summary>
/// Time as the broker has it: timestamps go on while the machine is suspended (CLOCK_BOOTTIME), timers do not (CLOCK_MONOTONIC). There is no wall clock: whoever
/// asks for it fails.
/// </summary>
internal sealed class VirtualTime : FakeTimeProvider
{
    private long _suspended;

    public override long GetTimestamp() => base.GetUtcNow().Ticks + Interlocked.Read(ref _suspended);

    public override DateTimeOffset GetUtcNow() => throw new InvalidOperationException("a decision asks for the wall clock");

    /// <summary>The machine sleeps. No timer fires, and none is nearer afterwards.</summary>
    public void Suspend(TimeSpan span) => Interlocked.Add(ref _suspended, span.Ticks * TimestampFrequency / TimeSpan.TicksPerSecond);
}
