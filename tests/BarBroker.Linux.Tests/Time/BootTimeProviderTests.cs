// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using BarBroker.Linux.Time;

namespace BarBroker.Linux.Tests.Time;

public sealed class BootTimeProviderTests
{
    [Fact]
    public void GetTimestamp_Now_IsTheUptimeThatTheKernelTells()
    {
        var time = new BootTimeProvider();
        long before = time.GetTimestamp();
        // Seconds since boot by the same clock, suspends included (proc_uptime(5)), cut to hundredths.
        double uptime = double.Parse(File.ReadAllText("/proc/uptime").Split(' ')[0], CultureInfo.InvariantCulture);
        long after = time.GetTimestamp();

        Assert.InRange(uptime, (before / 1e9) - 0.02, (after / 1e9) + 0.02);
    }

    [Fact]
    public void GetElapsedTime_TwoStamps_NeverGoesBack()
    {
        var time = new BootTimeProvider();
        long first = time.GetTimestamp();

        Assert.True(time.GetElapsedTime(first) >= TimeSpan.Zero);
        Assert.Equal(TimeSpan.FromSeconds(2), time.GetElapsedTime(0, 2_000_000_000));
    }
}
