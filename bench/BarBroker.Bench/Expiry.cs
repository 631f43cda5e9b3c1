// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Globalization;
using BarBroker.V1;

namespace BarBroker.Bench;

/// <summary>
/// Many leases that expire at the same instant: how late the last one is revoked, beside as many revokes of the device made by one process in a row; and how long heartbeats
/// wait meanwhile. Both have the same company on the machine: another 1,000 leases that are kept alive, each twenty times a second.
/// </summary>
internal static class Expiry
{
    private const int Others = 1000;
    private const int TtlSeconds = 60;

    public static async Task<IEnumerable<Figure>> MeasureAsync(string daemon, string bare, int leases) =>
    [
        .. await MeasureAsync(daemon, bare, leases, "expiry_lateness", 0),
        .. await MeasureAsync(daemon, bare, leases, "expiry_lateness_1ms", 1),
    ];

    /// <param name="pause">Milliseconds that the device takes for each revoke, on top of what it does.</param>
    private static async Task<IEnumerable<Figure>> MeasureAsync(string daemon, string bare, int leases, string name, int pause)
    {
        using var broker = new Broker(daemon, hasSecond: true);
        using var others = new Crowd(broker);
        await others.GrowAsync(broker, Others, "sim0", TtlSeconds);
        using var crowd = new Crowd(broker);
        string device = pause > 0 ? "sim1" : "sim0";
        await crowd.GrowAsync(broker, leases, device, TtlSeconds);
        var alone = Task.Run(() => Measured.By(bare, "revokes", leases.ToString(CultureInfo.InvariantCulture), (pause * 1000).ToString(CultureInfo.InvariantCulture))["revokes"]);
        await others.BeatUntilAsync(() => false, alone);
        if (pause > 0)
        {
            await File.WriteAllTextAsync(broker.Faults, $"revoke slow {pause}ms\n");
        }

        // The first of these deadlines; the last one is as much later as these heartbeats take.
        long due = Stopwatch.GetTimestamp() + (TtlSeconds * Stopwatch.Frequency);
        await crowd.BeatAtOnceAsync();
        var spread = Stopwatch.GetElapsedTime(due - (TtlSeconds * Stopwatch.Frequency));
        var gone = WaitUntilGoneAsync(broker, device, device == "sim0" ? (uint)Others : 0, due);
        var waits = await others.BeatUntilAsync(() => Stopwatch.GetTimestamp() >= due, gone);
        return
        [
            Figure.Of(name, "ms", (await gone).TotalMilliseconds, await alone / 1000),
            Figure.Of($"{name}.spread", "ms", spread.TotalMilliseconds),
            Figure.Of($"{name}.heartbeat_p99", "ms", waits.Quantile(0.99) / 1000),
        ];
    }

    /// <summary>How long after the deadline the device has only the leases that stay.</summary>
    private static async Task<TimeSpan> WaitUntilGoneAsync(Broker broker, string device, uint staying, long due)
    {
        using var channel = Channels.Client(broker);
        var service = new LeaseService.LeaseServiceClient(channel);
        while (true)
        {
            var devices = await service.ListDevicesAsync(new ListDevicesRequest());
            long now = Stopwatch.GetTimestamp();
            if (devices.Devices.Single(candidate => candidate.Name == device).Leases == staying)
            {
                return now >= due ? Stopwatch.GetElapsedTime(due, now) : throw new InvalidOperationException("the leases expired before their time");
            }

            await Task.Delay(now < due ? 5 : 1);
        }
    }
}
