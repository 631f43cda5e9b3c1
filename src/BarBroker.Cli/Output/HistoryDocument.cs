// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using System.Text.Json.Serialization;

namespace BarBroker.Cli.Output;

/// <summary>An entry of the broker's journal; what does not apply is null or empty.</summary>
/// <param name="Time">RFC 3339, in UTC; by the wall clock.</param>
internal sealed record HistoryDocument(
    ulong Sequence,
    string Time,
    double SinceBootSeconds,
    string BootId,
    string Kind,
    string? LeaseId,
    ulong? Epoch,
    string? Device,
    OwnerDocument? Owner,
    OwnerDocument? Actor,
    string? Action,
    string? Reason,
    uint Count,
    string? PolicyRule,
    string Detail)
{
    /// <summary>For people.</summary>
    [JsonIgnore]
    public string LocalTime { get; private init; } = "";

    public static HistoryDocument From(V1.HistoryEvent entry)
    {
        var time = entry.Time?.ToDateTimeOffset() ?? DateTimeOffset.UnixEpoch;
        return new HistoryDocument(
            entry.Sequence,
            time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture),
            entry.SinceBoot?.ToTimeSpan().TotalSeconds ?? 0,
            entry.BootId,
            Words.Of(entry.Kind),
            NullIfEmpty(entry.LeaseId),
            entry.Epoch > 0 ? entry.Epoch : null,
            NullIfEmpty(entry.Device),
            entry.Owner is { } owner ? OwnerDocument.From(owner) : null,
            entry.Actor is { } actor ? OwnerDocument.From(actor) : null,
            NullIfEmpty(entry.Action),
            Words.OrNull(entry.Reason),
            entry.Count,
            NullIfEmpty(entry.PolicyRule),
            entry.Detail)
        {
            LocalTime = time.ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture),
        };
    }

    private static string? NullIfEmpty(string text) => text.Length > 0 ? text : null;
}
