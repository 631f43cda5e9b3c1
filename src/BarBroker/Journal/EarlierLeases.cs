// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;

namespace BarBroker.Journal;

/// <summary>All that the journal knows of what earlier runs have left: the database, and over it what it had not been told yet.</summary>
/// <param name="Leases">By epoch.</param>
/// <param name="Problem">Why some of it could not be read; empty if all could.</param>
internal sealed record EarlierLeases(ImmutableArray<EarlierLease> Leases, string Problem)
{
    /// <summary>Of this boot of the machine.</summary>
    public required string BootId { get; init; }

    /// <param name="database">Null: it could not be read.</param>
    public static EarlierLeases Merge(RunIdentity now, IEnumerable<EarlierLease>? database, IEnumerable<(RunIdentity Run, List<JournalEntry> Entries)> ahead, string problem)
    {
        var leases = new SortedDictionary<ulong, EarlierLease>();
        foreach (var lease in database ?? [])
        {
            leases[lease.Lease.Epoch] = lease;
        }

        // What the database has already is there twice. The later one counts.
        foreach (var (run, entries) in ahead)
        {
            foreach (var entry in entries)
            {
                if (entry.Lease is { } lease && (leases.GetValueOrDefault(lease.Epoch)?.Marks.NotedAt ?? 0) <= entry.Marks.NotedAt)
                {
                    leases[lease.Epoch] = new EarlierLease(lease, entry.Marks, run.BootId);
                }
            }
        }

        return new EarlierLeases([.. leases.Values.Where(static lease => lease.Lease.State != V1.LeaseState.Ended)], problem) { BootId = now.BootId };
    }
}
