// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Journal;

/// <summary>One thing to write down.</summary>
/// <param name="Event">Without sequence and times. Its kind may be unspecified: then only the lease's record is written.</param>
/// <param name="Lease">The lease as it was then; null where the entry is about none.</param>
/// <param name="Wall">Milliseconds of Unix time.</param>
/// <param name="Boot">A time stamp.</param>
internal sealed record JournalEntry(V1.HistoryEvent Event, V1.Lease? Lease, LeaseMarks Marks, long Wall, long Boot)
{
    /// <summary>Grows by one from entry to entry of a run.</summary>
    public ulong Number { get; set; }
}
