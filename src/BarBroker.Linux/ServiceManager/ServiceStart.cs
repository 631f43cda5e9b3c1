// SPDX-License-Identifier: Apache-2.0

using System.Globalization;

namespace BarBroker.Linux.ServiceManager;

/// <summary>What the service manager that started this process gave it and wants of it; nothing of that without one.</summary>
/// <param name="Passed">Its owner disposes it, once everybody has claimed what is theirs.</param>
/// <param name="Notifier">Null: no manager listens.</param>
/// <param name="Watchdog">The longest time between two signs of life (<c>WatchdogSec=</c>); null: none are wanted.</param>
/// <param name="StoreCapacity">How many descriptors the manager keeps for the next run (<c>FileDescriptorStoreMax=</c>); 0: none.</param>
public sealed record ServiceStart(ActivatedDescriptors Passed, ServiceNotifier? Notifier, TimeSpan? Watchdog, int StoreCapacity = 0) : IDisposable
{
    /// <summary>Reads the environment; to be called once, before anything else opens descriptors.</summary>
    /// <exception cref="LinuxException">See <see cref="ActivatedDescriptors.Take()"/>.</exception>
    /// <exception cref="FormatException">See <see cref="ActivatedDescriptors.Take()"/>.</exception>
    public static ServiceStart Take()
    {
        var notifier = ServiceNotifier.FromEnvironment();
        var passed = ActivatedDescriptors.Take();
        return notifier is null
            ? new(passed, null, null)
            : new(
                passed,
                notifier,
                ReadWatchdog(Environment.GetEnvironmentVariable("WATCHDOG_USEC"), Environment.GetEnvironmentVariable("WATCHDOG_PID")),
                int.TryParse(Environment.GetEnvironmentVariable("FDSTORE"), NumberStyles.None, CultureInfo.InvariantCulture, out int capacity) ? capacity : 0);
    }

    public void Dispose() => Passed.Dispose();

    /// <summary>sd_watchdog_enabled(3).</summary>
    internal static TimeSpan? ReadWatchdog(string? microseconds, string? pid) =>
        ulong.TryParse(microseconds, NumberStyles.None, CultureInfo.InvariantCulture, out ulong interval) && interval is > 0 and < long.MaxValue / 10
        && (pid is null || pid == Environment.ProcessId.ToString(CultureInfo.InvariantCulture))
            ? TimeSpan.FromMicroseconds(interval)
            : null;
}
