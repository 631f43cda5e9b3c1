// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics.Metrics;
using BarBroker.Telemetry;

namespace BarBroker.Journal;

internal sealed class JournalMetrics : IDisposable
{
    private readonly Meter _meter = new(LeaseMetrics.MeterName);

    public JournalMetrics(JournalWriter writer)
    {
        _meter.CreateObservableCounter("barbroker.journal.errors", () => writer.Errors, null, "Attempts to open or write the journal that failed, or do not come back.");
        _meter.CreateObservableCounter("barbroker.journal.lost", () => writer.Lost, null, "Entries of the journal that are lost.");
        _meter.CreateObservableCounter("barbroker.journal.unprotected", () => writer.Unprotected, null, "Entries of the journal that a crash would have lost for a moment.");
        _meter.CreateObservableGauge("barbroker.journal.waiting", () => writer.Waiting, null, "Entries that are not in the journal's file yet.");
    }

    public void Dispose() => _meter.Dispose();
}
