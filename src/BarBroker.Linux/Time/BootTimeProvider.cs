// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Interop;
using static BarBroker.Linux.Interop.Constants;

namespace BarBroker.Linux.Time;

/// <summary>
/// Time stamps by <c>CLOCK_BOOTTIME</c>, which no clock setting moves and which counts suspends, unlike <c>CLOCK_MONOTONIC</c> (clock_gettime(2)).
/// Timers are the runtime's and do not count suspends: whoever waits for a deadline looks at the time stamp in between.
/// </summary>
public sealed class BootTimeProvider : TimeProvider
{
    /// <summary>Ticks a second: a tick is a nanosecond.</summary>
    public override long TimestampFrequency => 1_000_000_000;

    public override unsafe long GetTimestamp()
    {
        Timespec now;
        // SAFETY: the kernel fills the local of the right layout.
        return Libc.ClockGetTime(CLOCK_BOOTTIME, &now) == 0
            ? (now.Seconds * 1_000_000_000) + now.Nanoseconds
            : throw LinuxException.Last("clock_gettime", "CLOCK_BOOTTIME");
    }
}
