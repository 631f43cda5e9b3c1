// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics.Metrics;
using BarBroker.Restart;

namespace BarBroker.Tests.Restart;

/// <summary>Reads the instruments of its own <see cref="RestartMetrics"/>, and of no other that this process has.</summary>
internal sealed class MetricsReader : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly List<Meter> _others = [];
    private readonly List<(string Name, string Tags, long Value)> _seen = [];

    public MetricsReader()
    {
        _listener.InstrumentPublished = (instrument, _) => _others.Add(instrument.Meter);
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => _seen.Add((instrument.Name, string.Join(',', tags.ToArray().Select(static tag => $"{tag.Value}")), value)));
        // Those that are there already are published now.
        _listener.Start();
        int thread = Environment.CurrentManagedThreadId;
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (Environment.CurrentManagedThreadId == thread && !_others.Contains(instrument.Meter))
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        Metrics = new RestartMetrics();
        _listener.InstrumentPublished = null;
    }

    public RestartMetrics Metrics { get; }

    /// <param name="tag">Empty: it has none.</param>
    public long Read(string name, string tag = "")
    {
        _seen.Clear();
        _listener.RecordObservableInstruments();
        return Assert.Single(_seen, seen => seen.Name == name && seen.Tags == tag).Value;
    }

    public void Dispose()
    {
        _listener.Dispose();
        Metrics.Dispose();
    }
}
