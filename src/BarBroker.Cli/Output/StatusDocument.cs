// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Output;

/// <summary>The broker as a whole.</summary>
internal sealed record StatusDocument(
    string Version,
    int Pid,
    double UptimeSeconds,
    uint Granted,
    uint Active,
    uint Recalled,
    uint Revoking,
    uint Stuck,
    ulong Ended,
    string MetricsUrl,
    IReadOnlyList<string> Warnings,
    IReadOnlyList<DeviceDocument> Devices,
    JournalDocument? Journal)
{
    public static StatusDocument From(V1.GetStatusResponse status) => new(
        status.Version,
        status.Pid,
        status.Uptime?.ToTimeSpan().TotalSeconds ?? 0,
        status.Granted,
        status.Active,
        status.Recalled,
        status.Revoking,
        status.Stuck,
        status.Ended,
        status.MetricsUrl,
        [.. status.Warnings],
        [.. status.Devices.Select(DeviceDocument.From)],
        status.Journal is { } journal ? JournalDocument.From(journal) : null);
}
