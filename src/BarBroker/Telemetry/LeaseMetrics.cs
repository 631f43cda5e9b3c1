// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Diagnostics.Metrics;
using BarBroker.Devices;
using BarBroker.Leases;
using BarBroker.Pools;

namespace BarBroker.Telemetry;

/// <summary>
/// What an operator needs to see of leases. Tags are bounded: devices and BARs of the configuration, states and reasons of the wire; never an id,
/// a uid or a label.
/// </summary>
internal sealed class LeaseMetrics : IDisposable
{
    public const string MeterName = "BarBroker";

    private static readonly LeaseState[] LiveStates = [LeaseState.Granted, LeaseState.Active, LeaseState.Recalled, LeaseState.Revoking, LeaseState.Stuck];

    private static readonly DeviceSignal[] Signals = [DeviceSignal.Requested, DeviceSignal.Failed, DeviceSignal.Vanished];

    // Seconds. An acquire or a revoke takes microseconds where nothing is in the way, and seconds where an importer does not let go.
    private static readonly InstrumentAdvice<double> Durations = new()
    {
        HistogramBucketBoundaries = [0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    };

    private readonly Meter _meter = new(MeterName);
    private readonly Histogram<double> _acquires;
    private readonly Histogram<double> _revokes;
    private readonly Histogram<double> _scrubs;
    private readonly Histogram<double> _lateness;
    private readonly Histogram<double> _waits;
    private readonly Counter<long> _grants;
    private readonly Counter<long> _ends;
    private readonly Counter<long> _refusals;
    private readonly Counter<long> _failures;
    private readonly Counter<long> _signals;
    private readonly Counter<long> _escalations;

    public LeaseMetrics()
    {
        _acquires = _meter.CreateHistogram("barbroker.acquire.duration", "s", "From the ranges set aside to the buffers exported.", null, Durations);
        _revokes = _meter.CreateHistogram("barbroker.revoke.duration", "s", "From the decision to end a lease to the proof that access is over.", null, Durations);
        _scrubs = _meter.CreateHistogram("barbroker.scrub.duration", "s", "From the first word that was written over a lease's ranges to the last one; a part of the acquire.", null, Durations);
        _lateness = _meter.CreateHistogram("barbroker.expiry.lateness", "s", "From a deadline of a lease to the sweep that acted on it.", null, Durations);
        _waits = _meter.CreateHistogram("barbroker.wait.duration", "s", "How long acquires waited in a queue, by how the wait ended.", null, Durations);
        _grants = _meter.CreateCounter<long>("barbroker.lease.grants", null, "Leases granted.");
        _ends = _meter.CreateCounter<long>("barbroker.lease.ends", null, "Leases ended, by reason; also those that ended before they were granted.");
        _refusals = _meter.CreateCounter<long>("barbroker.refusals", null, "Acquires that were refused, at once or after waiting, by reason.");
        _failures = _meter.CreateCounter<long>("barbroker.revoke.failures", null, "Attempts to revoke a lease that failed, or did not answer in time.");
        _signals = _meter.CreateCounter<long>("barbroker.device.signals", null, "What devices said of themselves: requested, failed, vanished.");
        _escalations = _meter.CreateCounter<long>("barbroker.escalations", null, "Steps taken about stuck leases, and what came of them, by step and outcome.");
    }

    /// <summary>Tells listeners apart that are in one process.</summary>
    public Meter Meter => _meter;

    public void Observe(LeaseBook book)
    {
        _meter.CreateObservableGauge("barbroker.leases", () => LiveStates.Select(s => new Measurement<int>(book.Count(s), Tag("state", Text(s)))), null, "Leases that have not ended, by state.");
        _meter.CreateObservableGauge("barbroker.waiting", () => book.Devices().Select(d => new Measurement<int>(d.Waiting, Tag("device", d.Name))), null, "Acquires that wait for a device; those for any device count for each.");
        _meter.CreateObservableGauge("barbroker.waiting.oldest", () => book.OldestWaiters().Select(w => new Measurement<double>(w.Waited.TotalSeconds, Tag("device", w.Device))), "s", "How long the longest of the waits for a device has lasted.");
        _meter.CreateObservableGauge("barbroker.heartbeat.oldest", () => book.OldestHeartbeat().TotalSeconds, "s", "Since the last heartbeat of the lease that has been silent for longest.");
        _meter.CreateObservableGauge("barbroker.ttl.used.ratio", book.LargestTtlUsed, null, "The largest part of its TTL that a lease has gone without a heartbeat; at 1 it expires.");
        _meter.CreateObservableCounter("barbroker.sweep.stalls", () => book.StallCount, null, "How often the broker found itself stalled and gave a grace.");
        _meter.CreateObservableGauge("barbroker.bar.bytes", () => BarBytes(book), "By", "Bytes of a BAR, by use.");
        _meter.CreateObservableGauge("barbroker.bar.fragmentation.ratio", () => BarFragmentation(book), null, "Of what is free in a BAR outside of pools, the part that is not in its largest range.");
        _meter.CreateObservableGauge("barbroker.pool.slots", () => PoolSlots(book), null, "Slots of a pool, by use.");
        _meter.CreateObservableGauge("barbroker.pool.bytes", () => PoolBytes(book), "By", "Bytes of a pool's windows, by use.");
        _meter.CreateObservableGauge("barbroker.pool.fragmentation.ratio", () => PoolFragmentation(book), null, "Of what is free in a pool's windows, the part that is not in the largest range of its BAR.");
        _meter.CreateObservableGauge("barbroker.stuck.leases", () => book.Count(LeaseState.Stuck), null, "Leases whose revoke failed or does not answer. Anything but 0 wants an operator.");
        _meter.CreateObservableGauge("barbroker.stuck.oldest", () => book.OldestStuck().TotalSeconds, "s", "Since the end of the oldest stuck lease was decided.");
        _meter.CreateObservableGauge("barbroker.device.ready", () => book.Devices().Select(d => new Measurement<int>(d.State == DeviceState.Ready ? 1 : 0, Tag("device", d.Name))), null, "1 if the device can be leased.");
    }

    /// <summary>Shows counters that alerts look at from 0 on: the step from nothing to 1 is no increase to Prometheus.</summary>
    /// <remarks>To be called when whoever exports the metrics listens.</remarks>
    public void ShowZeros(IEnumerable<string> devices)
    {
        foreach (string device in devices)
        {
            _grants.Add(0, Tag("device", device));
            _failures.Add(0, Tag("device", device));
            foreach (DeviceSignal signal in Signals)
                _signals.Add(0, Tag("device", device), Tag("signal", Text(signal)));
        }

        foreach (EscalationStep step in Enum.GetValues<EscalationStep>())
        {
            foreach (EscalationOutcome outcome in Enum.GetValues<EscalationOutcome>())
                _escalations.Add(0, Tag("step", Text(step)), Tag("outcome", Text(outcome)));
        }
    }

    public void Granted(string device, TimeSpan duration)
    {
        _grants.Add(1, Tag("device", device));
        _acquires.Record(duration.TotalSeconds, Tag("device", device));
    }

    public void Scrubbed(string device, string pool, TimeSpan duration) => _scrubs.Record(duration.TotalSeconds, Tag("device", device), Tag("pool", pool));

    /// <param name="duration">Null where nothing had to be proven.</param>
    public void Ended(string device, EndReason reason, TimeSpan? duration)
    {
        _ends.Add(1, Tag("device", device), Tag("reason", Text(reason)));
        if (duration is { } d)
            _revokes.Record(d.TotalSeconds, Tag("device", device));
    }

    public void Refused(LeaseException refusal) => _refusals.Add(1, Tag("reason", Text(refusal.Error)));

    public void Waited(WaitOutcome outcome, TimeSpan duration) => _waits.Record(duration.TotalSeconds, Tag("outcome", Text(outcome)));

    public void ExpiredLate(TimeSpan lateness) => _lateness.Record(lateness.TotalSeconds);

    public void RevokeFailed(string device) => _failures.Add(1, Tag("device", device));

    public void Signaled(string device, DeviceSignal signal) => _signals.Add(1, Tag("device", device), Tag("signal", Text(signal)));

    public void Escalated(EscalationStep step, EscalationOutcome outcome) => _escalations.Add(1, Tag("step", Text(step)), Tag("outcome", Text(outcome)));

    public void Dispose() => _meter.Dispose();

    private static IEnumerable<Measurement<long>> BarBytes(LeaseBook book)
    {
        foreach (DeviceInfo device in book.Devices())
        {
            foreach (BarUsage bar in device.Bars)
            {
                yield return Of(bar.Free, "free");
                yield return Of(bar.Leased, "leased");
                yield return Of(bar.Quarantined, "quarantined");

                Measurement<long> Of(ulong bytes, string use) => new((long)bytes, new TagList { Tag("device", device.Name), Tag("bar", bar.Bar), Tag("use", use) });
            }
        }
    }

    private static IEnumerable<Measurement<double>> BarFragmentation(LeaseBook book) =>
        book.Devices().SelectMany(static device => device.Bars.Select(bar => new Measurement<double>(bar.Fragmentation, new TagList { Tag("device", device.Name), Tag("bar", bar.Bar) })));

    private static IEnumerable<Measurement<int>> PoolSlots(LeaseBook book) => Usages(book).Where(static usage => usage.Pool.HasSlots).SelectMany(static of =>
    {
        var (pool, usage) = of;
        return new[] { Of(usage.FreeSlots, "free"), Of(usage.LeasedSlots, "leased"), Of(usage.QuarantinedSlots, "quarantined") };

        Measurement<int> Of(int slots, string use) => new(slots, new TagList { Tag("pool", pool.Name), Tag("device", usage.Device), Tag("use", use) });
    });

    private static IEnumerable<Measurement<long>> PoolBytes(LeaseBook book) => Usages(book).SelectMany(static of => of.Usage.Windows.SelectMany(window =>
    {
        return new[] { Of(window.Free, "free"), Of(window.Leased, "leased"), Of(window.Quarantined, "quarantined") };

        Measurement<long> Of(ulong bytes, string use) => new((long)bytes, new TagList { Tag("pool", of.Pool.Name), Tag("device", of.Usage.Device), Tag("bar", window.Bar), Tag("use", use) });
    }));

    private static IEnumerable<Measurement<double>> PoolFragmentation(LeaseBook book) => Usages(book).SelectMany(static of => of.Usage.Windows.Select(window =>
        new Measurement<double>(window.Fragmentation, new TagList { Tag("pool", of.Pool.Name), Tag("device", of.Usage.Device), Tag("bar", window.Bar) })));

    private static IEnumerable<(Pool Pool, PoolUsage Usage)> Usages(LeaseBook book) =>
        book.Pools().SelectMany(static pool => pool.Devices.Where(static usage => usage.Fault.Length == 0).Select(usage => (pool.Pool, usage)));

    private static KeyValuePair<string, object?> Tag(string key, object value) => new(key, value);

    private static string Text(LeaseState state) => state switch
    {
        LeaseState.Granted => "granted",
        LeaseState.Active => "active",
        LeaseState.Recalled => "recalled",
        LeaseState.Revoking => "revoking",
        LeaseState.Stuck => "stuck",
        _ => "ended",
    };

    private static string Text(DeviceSignal signal) => signal switch
    {
        DeviceSignal.Requested => "requested",
        DeviceSignal.Failed => "failed",
        _ => "vanished",
    };

    private static string Text(WaitOutcome outcome) => outcome switch
    {
        WaitOutcome.Granted => "granted",
        WaitOutcome.TimedOut => "timed_out",
        WaitOutcome.Cancelled => "cancelled",
        _ => "refused",
    };

    private static string Text(LeaseError error) => error switch
    {
        LeaseError.Invalid => "invalid",
        LeaseError.Unsupported => "unsupported",
        LeaseError.NotFound => "not_found",
        LeaseError.Ended => "ended",
        LeaseError.NoRoom => "no_room",
        LeaseError.Quota => "quota",
        LeaseError.Rate => "rate",
        LeaseError.Denied => "policy",
        _ => "unavailable",
    };

    private static string Text(EscalationStep step) => step switch
    {
        EscalationStep.Notify => "notify",
        EscalationStep.Cordon => "cordon",
        EscalationStep.Kill => "kill",
        _ => "reset",
    };

    private static string Text(EscalationOutcome outcome) => outcome switch
    {
        EscalationOutcome.Begun => "begun",
        EscalationOutcome.Done => "done",
        EscalationOutcome.Refused => "refused",
        _ => "failed",
    };

    private static string Text(EndReason reason) => reason switch
    {
        EndReason.Released => "released",
        EndReason.Expired => "expired",
        EndReason.ClientHung => "client_hung",
        EndReason.ClientExited => "client_exited",
        EndReason.Operator => "operator",
        EndReason.Preempted => "preempted",
        EndReason.Policy => "policy",
        EndReason.DeviceLost => "device_lost",
        EndReason.DeviceReset => "device_reset",
        EndReason.BrokerShutdown => "broker_shutdown",
        EndReason.BrokerRestart => "broker_restart",
        EndReason.TicketExpired => "ticket_expired",
        _ => "none",
    };
}
