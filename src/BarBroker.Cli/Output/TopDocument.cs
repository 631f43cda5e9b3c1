// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Output;

/// <summary>What `top` shows: the broker, and what lives and waits, what needs somebody first.</summary>
internal sealed record TopDocument(StatusDocument Status, IReadOnlyList<LeaseDocument> Leases, IReadOnlyList<WaitingDocument> Waiting)
{
    private static readonly string[] _urgency = ["stuck", "revoking", "recalled"];

    public static TopDocument From(V1.GetStatusResponse status, V1.OperatorListLeasesResponse leases) => new(
        StatusDocument.From(status),
        [.. leases.Leases.Select(LeaseDocument.From).OrderBy(static lease => Array.IndexOf(_urgency, lease.State) is >= 0 and var place ? place : _urgency.Length).ThenBy(static lease => lease.RemainingSeconds ?? double.MaxValue)],
        [.. leases.Waiting.Select(WaitingDocument.From)]);
}
