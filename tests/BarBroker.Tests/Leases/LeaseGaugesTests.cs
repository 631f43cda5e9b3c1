// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics.Metrics;
using BarBroker.Leases;
using static BarBroker.Tests.Leases.LeaseFixture;

namespace BarBroker.Tests.Leases;

public sealed class LeaseGaugesTests
{
    private static readonly TimeSpan Ttl = TimeSpan.FromSeconds(40);

    [Fact]
    public void Heartbeats_OneLeaseIsSilent_ItsAgeAndItsPartOfTheTtl()
    {
        using var f = new LeaseFixture();
        LeaseInfo silent = f.Active(Explicit(Pages(0, 1)) with { Ttl = Ttl });
        LeaseInfo beating = f.Active(Explicit(Pages(1, 1)) with { Ttl = Ttl });
        // Not fetched: nobody keeps it alive yet.
        f.Acquire(Explicit(Pages(2, 1)) with { Ttl = TimeSpan.FromSeconds(10) });

        f.Pass(TimeSpan.FromSeconds(10));
        f.Manager.Renew(beating.Id, 1000, 1);
        f.Pass(TimeSpan.FromSeconds(20));

        Assert.Equal((30, 0.75), (Gauge(f, "barbroker.heartbeat.oldest"), Gauge(f, "barbroker.ttl.used.ratio")));
        f.Manager.Renew(silent.Id, 1000, 1);
        Assert.Equal((20, 0.5), (Gauge(f, "barbroker.heartbeat.oldest"), Gauge(f, "barbroker.ttl.used.ratio")));
    }

    [Fact]
    public void Heartbeats_NoLeases_Zero()
    {
        using var f = new LeaseFixture();

        Assert.Equal((0, 0), (Gauge(f, "barbroker.heartbeat.oldest"), Gauge(f, "barbroker.ttl.used.ratio")));
    }

    [Fact]
    public void Waiting_TwoWait_TheLongerWait()
    {
        using var f = new LeaseFixture();
        f.Active(Explicit(Pages(0, 1)) with { Ttl = TimeSpan.FromMinutes(10) });
        AcquireRequest taken = Explicit(Pages(0, 1)) with { Wait = TimeSpan.FromMinutes(5) };
        Assert.Equal(0, Gauge(f, "barbroker.waiting.oldest"));

        Task first = f.Manager.AcquireAsync(taken, Owner(), CancellationToken.None).AsTask();
        f.Pass(TimeSpan.FromSeconds(7));
        Task second = f.Manager.AcquireAsync(taken, Owner(), CancellationToken.None).AsTask();
        f.Pass(TimeSpan.FromSeconds(3));

        Assert.Equal(10, Gauge(f, "barbroker.waiting.oldest"));
        Assert.False(first.IsCompleted || second.IsCompleted);
    }

    [Fact]
    public void Counters_NothingHappenedYet_AreThereFromZero()
    {
        using var f = new LeaseFixture();
        var seen = new List<(string Name, long Value)>();
        using MeterListener listener = Listen(f);
        listener.SetMeasurementEventCallback<long>((instrument, value, _, _) => seen.Add((instrument.Name, value)));

        f.Manager.Metrics.ShowZeros(["dev0"]);
        listener.RecordObservableInstruments();

        Assert.Contains(("barbroker.revoke.failures", 0), seen);
        Assert.Contains(("barbroker.lease.grants", 0), seen);
        Assert.Contains(("barbroker.sweep.stalls", 0), seen);
    }

    private static double Gauge(LeaseFixture f, string name)
    {
        double seen = double.NaN;
        using MeterListener listener = Listen(f);
        listener.SetMeasurementEventCallback<double>((instrument, value, _, _) => seen = instrument.Name == name ? value : seen);
        listener.RecordObservableInstruments();
        return seen;
    }

    private static MeterListener Listen(LeaseFixture f)
    {
        var listener = new MeterListener
        {
            InstrumentPublished = (instrument, l) =>
            {
                if (instrument.Meter == f.Manager.Metrics.Meter)
                    l.EnableMeasurementEvents(instrument);
            },
        };
        listener.Start();
        return listener;
    }
}
