// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Globalization;
using BarBroker.V1;

namespace BarBroker.Bench;

/// <summary>
/// Many leases that expire at the same instant: how late the last one is revoked, beside as many revokes of the device made by one process in a row; and how long heartbeats
/// wait meanwhile. Both have the same company on the machine: another 1,000 leases that are kept alive, each twenty times a second. They are measured in turns, and the
/// medians are told: either one takes half as long again in one turn as in another.
/// </summary>
internal static class Expiry
{
    private const int Others = 1000;
    private const int TtlSeconds = 15;
    private const int Turns = 7;
    private const int SlowTurns = 3;

    public static async Task<IEnumerable<Figure>> MeasureAsync(string daemon, string bare, int leases) =>
    [
        .. await MeasureAsync(daemon, bare, leases, "expiry_lateness", 0, Turns),
        .. await MeasureAsync(daemon, bare, leases, "expiry_lateness_1ms", 1, SlowTurns),
    ];

    /// <param name="pause">Milliseconds that the device takes for each revoke, on top of what it does.</param>
    private static async Task<IEnumerable<Figure>> MeasureAsync(string daemon, string bare, int leases, string name, int pause, int turns)
    {
        using var broker = new Broker(daemon, hasSecond: true);
        using var others = new Crowd(broker);
        var (device, other) = pause > 0 ? ("sim1", "sim0") : ("sim0", "sim1");
        await others.GrowAsync(broker, Others, other, 3 * TtlSeconds);
        if (pause > 0)
        {
            await File.WriteAllTextAsync(broker.Faults, $"revoke slow {pause}ms\n");
        }

        Samples ours = new(turns), kernel = new(turns), spreads = new(turns), waits = new(10_000);
        for (int turn = 0; turn < turns; turn++)
        {
            var alone = Task.Run(() => Measured.By(bare, "revokes", leases.ToString(CultureInfo.InvariantCulture), (pause * 1000).ToString(CultureInfo.InvariantCulture))["revokes"]);
            await others.BeatUntilAsync(static () => false, alone, new Samples(0));
            kernel.Add(await alone);
            var (late, spread) = await ExpireAsync(broker, device, others, leases, waits);
            ours.Add(late.TotalMicroseconds);
            spreads.Add(spread.TotalMicroseconds);
        }

        return
        [
            Figure.OfMilliseconds(name, ours, kernel),
            Figure.Of($"{name}.spread", "ms", spreads.Quantile(0.5) / 1000),
            Figure.Of($"{name}.heartbeat_p99", "ms", waits.Quantile(0.99) / 1000),
        ];
    }

    /// <summary>From the first deadline until the last lease is proven to be over; and how far apart the deadlines are at most.</summary>
    private static async Task<(TimeSpan Late, TimeSpan Spread)> ExpireAsync(Broker broker, string device, Crowd others, int leases, Samples waits)
    {
        using var crowd = new Crowd(broker);
        await crowd.GrowAsync(broker, leases, device, TtlSeconds);
        // The first of these deadlines; the last one is as much later as these heartbeats take.
        long due = Stopwatch.GetTimestamp() + (TtlSeconds * Stopwatch.Frequency);
        await crowd.BeatAtOnceAsync();
        var spread = Stopwatch.GetElapsedTime(due - (TtlSeconds * Stopwatch.Frequency));
        var gone = WaitUntilGoneAsync(broker, device, due);
        await others.BeatUntilAsync(() => Stopwatch.GetTimestamp() >= due, gone, waits);
        return (await gone, spread);
    }

    /// <summary>How long after the deadline the device has none of its leases any more.</summary>
    private static async Task<TimeSpan> WaitUntilGoneAsync(Broker broker, string device, long due)
    {
        using var channel = Channels.Client(broker);
        var service = new LeaseService.LeaseServiceClient(channel);
        while (true)
        {
            var devices = await service.ListDevicesAsync(new ListDevicesRequest());
            long now = Stopwatch.GetTimestamp();
            if (devices.Devices.Single(candidate => candidate.Name == device).Leases == 0)
            {
                return now >= due ? Stopwatch.GetElapsedTime(due, now) : throw new InvalidOperationException("the leases expired before their time");
            }

            await Task.Delay(now < due ? 5 : 1);
        }
    }
}
