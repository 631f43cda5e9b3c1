// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>
/// What an acquire has come to so far, and who waits for more: a <see cref="Lease"/> whose buffers are being exported, or a <see cref="Waiter"/> that there was no room
/// for yet. Only <see cref="LeaseBook"/> changes it, under its lock.
/// </summary>
internal abstract class Claim : Deadline
{
    /// <summary>Set while an acquire that wants a ticket has not been answered.</summary>
    public TaskCompletionSource<Grant>? Pending { get; set; }

    /// <summary>Set while acquires that want the buffers have not been answered.</summary>
    public List<IAcquireRecipient>? Recipients { get; set; }

    /// <summary>Acquires that were not cancelled, answered or not; with the last one that is cancelled the claim goes.</summary>
    public int PendingCalls { get; set; }
}
