// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics.Metrics;
using BarBroker.Leases;
using static BarBroker.Tests.Leases.LeaseFixture;

namespace BarBroker.Tests.Leases;

public sealed class LeaseMetricsTests
{
    [Fact]
    public void Instruments_LeaseEndsWithAFailedRevoke_ShowIt()
    {
        using var f = new LeaseFixture();
        var seen = new List<(string Name, double Value, string Tags)>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, l) =>
        {
            if (instrument.Meter == f.Manager.Metrics.Meter)
                l.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>((i, v, tags, _) => seen.Add((i.Name, v, Text(tags))));
        listener.SetMeasurementEventCallback<int>((i, v, tags, _) => seen.Add((i.Name, v, Text(tags))));
        listener.SetMeasurementEventCallback<double>((i, v, tags, _) => seen.Add((i.Name, v, Text(tags))));
        listener.Start();

        LeaseInfo lease = f.Active(Explicit(Pages(0, 4)));
        f.Device.FailRevoke = true;
        f.Pass(TimeSpan.FromSeconds(30));
        f.Pump();
        f.Time.Advance(TimeSpan.FromSeconds(0.5));
        listener.RecordObservableInstruments();
        f.Device.FailRevoke = false;
        f.Pump();

        Assert.Equal(LeaseState.Ended, f.Get(lease.Id).State);
        Assert.Contains(("barbroker.lease.grants", 1, "device=dev0"), seen);
        Assert.Contains(("barbroker.acquire.duration", 0, "device=dev0"), seen);
        Assert.Contains(("barbroker.expiry.lateness", 0, ""), seen);
        Assert.Contains(("barbroker.revoke.failures", 1, "device=dev0"), seen);
        Assert.Contains(("barbroker.leases", 1, "state=stuck"), seen);
        Assert.Contains(("barbroker.leases", 0, "state=active"), seen);
        Assert.Contains(("barbroker.stuck.leases", 1, ""), seen);
        Assert.Contains(("barbroker.stuck.oldest", 0.5, ""), seen);
        Assert.Contains(("barbroker.bar.bytes", 4 * Page, "device=dev0,bar=0,use=quarantined"), seen);
        Assert.Contains(("barbroker.bar.bytes", f.Device.BarSize - (4 * Page), "device=dev0,bar=0,use=free"), seen);
        Assert.Contains(("barbroker.device.ready", 1, "device=dev0"), seen);
        Assert.Contains(("barbroker.revoke.duration", 0.5, "device=dev0"), seen);
        Assert.Contains(("barbroker.lease.ends", 1, "device=dev0,reason=expired"), seen);
    }

    private static string Text(ReadOnlySpan<KeyValuePair<string, object?>> tags) => string.Join(",", tags.ToArray().Select(static t => $"{t.Key}={t.Value}"));
}
