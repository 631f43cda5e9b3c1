// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Memory;

namespace BarBroker.Leases;

/// <summary>The place of one lease on the <see cref="LeaseBoard"/>. Belongs to the lease book's lock, except for <see cref="Recorded"/>.</summary>
internal sealed class BoardPlace(LeaseBoard board, SharedWords words, int at)
{
    // Behind the epoch.
    internal const int Device = 1;
    internal const int Deadline = 2;
    internal const int ProgressCount = 3;
    internal const int ProgressTime = 4;
    internal const int Reason = 5;
    internal const int Noted = 6;

    /// <summary>Of the lease whose place it is.</summary>
    public ulong Epoch => (ulong)words[at];

    public void Beat(long deadline) => words[at + Deadline] = deadline;

    /// <summary>The time last: a crash in between leaves the older one, which ends the lease no later.</summary>
    public void Progress(ulong progress, long time)
    {
        words[at + ProgressCount] = (long)progress;
        words[at + ProgressTime] = time;
    }

    /// <summary>
    /// A record of the lease that was noted then is kept where a crash does not take it: one that is older proves nothing any more. By who keeps the records, one at a time. The place may be another lease's by
    /// now: then this is earlier than what that one's own records will say, and only until they do.
    /// </summary>
    public void Recorded(ulong epoch, long notedAt)
    {
        if ((ulong)words[at] == epoch)
            words[at + Noted] = notedAt;
    }

    /// <summary>Its end was decided.</summary>
    public void End(EndReason reason) => words[at + Reason] = (long)reason;

    /// <summary>The lease has ended; the place is another one's soon.</summary>
    public void Free() => board.Free(at);
}
