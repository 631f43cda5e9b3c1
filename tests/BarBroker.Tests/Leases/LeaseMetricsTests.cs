// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics.Metrics;
using BarBroker.Devices;
using BarBroker.Leases;
using BarBroker.Policy;
using static BarBroker.Tests.Leases.LeaseFixture;

namespace BarBroker.Tests.Leases;

public sealed class LeaseMetricsTests
{
    [Fact]
    public void Instruments_LeaseEndsWithAFailedRevoke_ShowIt()
    {
        using var f = new LeaseFixture();
        var seen = new List<(string Name, double Value, string Tags)>();
        using MeterListener listener = Listen(f, seen);

        LeaseInfo lease = f.Active(Explicit(Pages(0, 4)));
        f.Device.FailRevoke = true;
        f.Pass(TimeSpan.FromSeconds(30));
        f.Pump();
        f.Time.Advance(TimeSpan.FromSeconds(0.5));
        listener.RecordObservableInstruments();
        f.Device.FailRevoke = false;
        f.Pump();

        f.Device.Raise(DeviceSignal.Failed, "an error");

        Assert.Equal(LeaseState.Ended, f.Get(lease.Id).State);
        Assert.Contains(("barbroker.device.signals", 1, "device=dev0,signal=failed"), seen);
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

    [Fact]
    public void Refusals_OfEachKind_AreCountedByReason()
    {
        using var f = new LeaseFixture(new LeaseOptions
        {
            Rules = [new PolicyRule("r", PolicyMatch.Everybody, Lease: new LeaseRule { Devices = ["dev*"], MaxLeases = 2, Rate = new AcquireRate(1, 6) })],
        });
        var seen = new List<(string Name, double Value, string Tags)>();
        using MeterListener listener = Listen(f, seen);

        f.Active(Explicit(Pages(0, 1)));
        f.Refused(Explicit(Pages(0, 1)));
        f.Refused(Sized(Page) with { Device = "other" });
        f.Refused(Sized(Page) with { Device = "dev9" });
        f.Refused(Sized(0));
        Task<Grant> waiting = f.Manager.AcquireAsync(Explicit(Pages(0, 1)) with { Wait = TimeSpan.FromSeconds(1) }, Owner(), CancellationToken.None).AsTask();
        f.Pass(TimeSpan.FromSeconds(1));
        Assert.ThrowsAny<LeaseException>(() => Wait(waiting));
        LeaseInfo last = f.Active(Explicit(Pages(1, 1)));
        f.Refused(Sized(Page));
        f.Manager.End(last.Id, EndReason.Released, "");
        f.Pump();
        f.Manager.Cordon("dev0", "");
        f.Refused(Sized(Page));
        f.Refused(Sized(Page));

        string[] reasons = [.. seen.Where(static s => s.Name == "barbroker.refusals").Select(static s => s.Tags)];
        Assert.Equal(["reason=no_room", "reason=policy", "reason=not_found", "reason=invalid", "reason=no_room", "reason=quota", "reason=unavailable", "reason=rate"], reasons);
    }

    private static MeterListener Listen(LeaseFixture f, List<(string Name, double Value, string Tags)> seen)
    {
        var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, l) =>
        {
            if (instrument.Meter == f.Manager.Metrics.Meter)
                l.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>((i, v, tags, _) => seen.Add((i.Name, v, Text(tags))));
        listener.SetMeasurementEventCallback<int>((i, v, tags, _) => seen.Add((i.Name, v, Text(tags))));
        listener.SetMeasurementEventCallback<double>((i, v, tags, _) => seen.Add((i.Name, v, Text(tags))));
        listener.Start();
        return listener;
    }

    private static string Text(ReadOnlySpan<KeyValuePair<string, object?>> tags) => string.Join(",", tags.ToArray().Select(static t => $"{t.Key}={t.Value}"));
}
