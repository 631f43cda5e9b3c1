// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Output;

/// <summary>A process that holds leases or waits for some; sizes are bytes, times seconds. Its id is <paramref name="Pid"/>.</summary>
/// <param name="Waiting">Places in queues; an acquire that would take any device has one in the queue of each.</param>
/// <param name="OldestAgeSeconds">Of its leases.</param>
/// <param name="LeastRemainingSeconds">Until the first of its leases expires, if it does not renew it.</param>
internal sealed record ClientDocument(
    int Pid,
    uint Uid,
    uint Gid,
    string Comm,
    int Leases,
    int Recalled,
    int Stuck,
    ulong Size,
    int Waiting,
    IReadOnlyList<string> Devices,
    IReadOnlyList<string> LeaseIds,
    double? OldestAgeSeconds,
    double? LeastRemainingSeconds)
{
    public static ClientDocument[] From(IEnumerable<V1.Lease> leases, IEnumerable<V1.Waiting> waiting)
    {
        var held = leases.Select(LeaseDocument.From).ToLookup(static lease => lease.Owner);
        var queued = waiting.Select(WaitingDocument.From).ToLookup(static waiter => waiter.Owner);
        return
        [
            .. held.Select(static group => group.Key).Union(queued.Select(static group => group.Key))
                .OrderBy(static owner => owner.Uid).ThenBy(static owner => owner.Pid)
                .Select(owner => Of(owner, [.. held[owner]], [.. queued[owner]])),
        ];
    }

    private static ClientDocument Of(OwnerDocument owner, LeaseDocument[] leases, WaitingDocument[] waiting) => new(
        owner.Pid,
        owner.Uid,
        owner.Gid,
        owner.Comm,
        leases.Length,
        leases.Count(static lease => lease.State == "recalled"),
        leases.Count(static lease => lease.State == "stuck"),
        leases.Aggregate(0ul, static (sum, lease) => sum + lease.Size()),
        waiting.Length,
        [.. leases.Select(static lease => lease.Device).Concat(waiting.Select(static waiter => waiter.Device)).Distinct().Order(StringComparer.Ordinal)],
        [.. leases.Select(static lease => lease.Id)],
        leases.Max(static lease => lease.AgeSeconds),
        leases.Min(static lease => lease.RemainingSeconds));
}
