// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics.Metrics;
using BarBroker.Telemetry;

namespace BarBroker.Restart;

/// <summary>What is kept for the next run, what could not be, and what became of the leases that the run before has left.</summary>
internal sealed class RestartMetrics : IDisposable
{
    private readonly Meter _meter = new(LeaseMetrics.MeterName);
    private long _full;
    private long _notTaken;

    // Written by the start, read by who scrapes.
    private volatile DescriptorStore? _store;
    private volatile Func<int>? _endedUnseen;
    private volatile int _restored;
    private volatile int _ended;

    public RestartMetrics()
    {
        _meter.CreateObservableGauge("barbroker.store.fds", () => (long)(_store?.Count ?? 0), description: "Descriptors that the service manager keeps for the next run.");
        _meter.CreateObservableGauge("barbroker.store.max.fds", () => (long)(_store?.Limit ?? 0), description: "How many descriptors the service manager keeps at most.");
        _meter.CreateObservableGauge(
            "barbroker.restart.leases",
            () => new Measurement<long>[]
            {
                new(_restored, new KeyValuePair<string, object?>("outcome", "restored")),
                new(_ended + (_endedUnseen?.Invoke() ?? 0), new KeyValuePair<string, object?>("outcome", "ended")),
            },
            description: "Leases that the run before had when it ended, by what this run made of them.");

        // Observed, so that what fails before anybody listens is counted, too.
        _meter.CreateObservableCounter(
            "barbroker.store.failures",
            () => new Measurement<long>[]
            {
                new(Interlocked.Read(ref _full), new KeyValuePair<string, object?>("reason", "full")),
                new(Interlocked.Read(ref _notTaken), new KeyValuePair<string, object?>("reason", "not_taken")),
            },
            description: "Descriptors that the service manager was to keep, and does not.");
    }

    public void UseStore(DescriptorStore store) => _store = store;

    /// <param name="files">They were not given to it, as it has no room.</param>
    public void Full(int files) => Interlocked.Add(ref _full, files);

    /// <param name="files">It could not be given them.</param>
    public void NotStored(int files) => Interlocked.Add(ref _notTaken, files);

    /// <param name="restored">Leases that go on.</param>
    /// <param name="ended">Those that were taken up, and have ended meanwhile or for what was found.</param>
    public void TakenUp(int restored, int ended)
    {
        _restored = restored;
        _ended = ended;
    }

    /// <param name="ended">How many there are records of, and nothing else: the journal ends them once it can.</param>
    public void UseRecords(Func<int> ended) => _endedUnseen = ended;

    public void Dispose() => _meter.Dispose();
}
