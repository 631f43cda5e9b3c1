// SPDX-License-Identifier: Apache-2.0

using System.Globalization;

namespace BarBroker.Journal;

/// <summary>A call that changes something: what it is about, and what came of it so far.</summary>
internal sealed class OperatorAction
{
    private const int LongestText = 1024;

    private readonly Dictionary<V1.LeaseState, int> _leases = [];
    private string _outcome = "";

    /// <summary>In the words of the service.</summary>
    public required string Method { get; init; }

    public string Device { get; init; } = "";

    public string LeaseId { get; init; } = "";

    public string Subject { get; init; } = "";

    public string Comment { get; init; } = "";

    public string Outcome => _outcome.Length > 0 ? _outcome
        : _leases.Count > 0 ? string.Join(", ", _leases.Select(static pair => string.Create(CultureInfo.InvariantCulture, $"{pair.Value} {pair.Key.ToString().ToLowerInvariant()}")))
        : "done";

    /// <summary>Null: it only looks.</summary>
    public static OperatorAction? Of(object request) => request switch
    {
        V1.RevokeRequest revoke => new()
        {
            Method = "Revoke",
            Device = Shorten(revoke.Selector?.Device ?? ""),
            LeaseId = revoke.LeaseIds.Count == 1 ? Shorten(revoke.LeaseIds[0]) : "",
            Subject = Shorten(revoke.LeaseIds.Count > 0 ? $"{string.Join(' ', revoke.LeaseIds)}{Grace(revoke.Grace)}" : $"leases {revoke.Selector}{Grace(revoke.Grace)}"),
            Comment = Shorten(revoke.Comment),
        },
        V1.CordonDeviceRequest cordon => new() { Method = "CordonDevice", Device = Shorten(cordon.Device), Comment = Shorten(cordon.Comment) },
        V1.UncordonDeviceRequest uncordon => new() { Method = "UncordonDevice", Device = Shorten(uncordon.Device) },
        V1.DrainDeviceRequest drain => new() { Method = "DrainDevice", Device = Shorten(drain.Device), Subject = Grace(drain.Grace).TrimStart(',', ' '), Comment = Shorten(drain.Comment) },
        V1.ResetDeviceRequest { DryRun: false } reset => new() { Method = "ResetDevice", Device = Shorten(reset.Device), Comment = Shorten(reset.Comment) },
        V1.ReloadRequest { DryRun: false } reload => new() { Method = "Reload", Subject = reload.Apply ? "applied to what lives" : "" },
        _ => null,
    };

    /// <summary>Told of every answer.</summary>
    public void Answered(object response)
    {
        switch (response)
        {
            case V1.RevokeResponse { Lease: { } lease }:
                Count(lease);
                break;
            case V1.DrainDeviceResponse { Lease: { } lease }:
                Count(lease);
                break;
            case V1.ResetDeviceResponse reset:
                _outcome = string.Create(CultureInfo.InvariantCulture, $"done, {Leases(reset.Ended)} ended by it");
                break;
            case V1.ReloadResponse { Faults.Count: > 0 } faulty:
                _outcome = Shorten($"faulty, nothing has changed: {faulty.Faults[0].Message}");
                break;
            case V1.ReloadResponse reload:
                _outcome = Shorten(string.Create(CultureInfo.InvariantCulture, $"in force: {string.Join(", ", reload.Changed)}; to end: {Leases(reload.Ended)}"));
                break;
        }
    }

    private static string Leases(uint count) => count == 1 ? "1 lease" : string.Create(CultureInfo.InvariantCulture, $"{count} leases");

    private static string Grace(Google.Protobuf.WellKnownTypes.Duration? grace) =>
        grace is { Seconds: > 0 } or { Nanos: > 0 } ? string.Create(CultureInfo.InvariantCulture, $", grace {grace.Seconds + (grace.Nanos / 1e9):0.###} s") : "";

    private static string Shorten(string text) => text.Length <= LongestText ? text : $"{text.AsSpan(0, LongestText)}...";

    private void Count(V1.Lease lease) => _leases[lease.State] = _leases.GetValueOrDefault(lease.State) + 1;
}
