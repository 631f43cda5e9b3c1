// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics.Metrics;
using System.Globalization;
using BarBroker.Linux.Processes;

namespace BarBroker.Telemetry;

/// <summary>What the daemon itself uses, read from /proc when somebody scrapes.</summary>
internal sealed class ProcessMetrics : IDisposable
{
    private readonly Meter _meter = new(LeaseMetrics.MeterName);

    public ProcessMetrics(Func<long> clientConnections, Func<long> operatorConnections, Func<long> watchedProcesses)
    {
        _meter.CreateObservableGauge("barbroker.open.fds", () => (long)Directory.EnumerateFileSystemEntries("/proc/self/fd").Count(), description: "File descriptors that the broker has open.");
        _meter.CreateObservableGauge("barbroker.max.fds", static () => ProcessLimits.Soft(ProcessLimits.OpenFiles) ?? 0, description: "How many file descriptors the broker may have open.");
        _meter.CreateObservableGauge("barbroker.resident.memory", () => FromStatus("VmRSS:") * 1024, unit: "By", description: "Memory of the broker that is resident.");
        _meter.CreateObservableGauge("barbroker.threads", () => FromStatus("Threads:"), description: "Threads of the broker.");
        _meter.CreateObservableGauge(
            "barbroker.connections",
            () => new Measurement<long>[]
            {
                new(clientConnections(), new KeyValuePair<string, object?>("socket", "client")),
                new(operatorConnections(), new KeyValuePair<string, object?>("socket", "operator")),
            },
            description: "Open gRPC connections by socket.");
        _meter.CreateObservableGauge("barbroker.watched.processes", watchedProcesses, description: "Client processes whose end is waited for.");
    }

    public void Dispose() => _meter.Dispose();

    private static long FromStatus(string key)
    {
        foreach (string line in File.ReadLines("/proc/self/status"))
        {
            if (line.StartsWith(key, StringComparison.Ordinal))
            {
                string number = line[key.Length..].Replace("kB", "", StringComparison.Ordinal).Trim();
                return long.Parse(number, CultureInfo.InvariantCulture);
            }
        }

        return 0;
    }
}
