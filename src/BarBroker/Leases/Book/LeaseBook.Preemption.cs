// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

internal sealed partial class LeaseBook
{
    /// <summary>
    /// What it costs to take a lease for this waiter: nothing for one that goes in time anyway, one for one of lower priority whose grace is over in time, and what
    /// cannot be had is not touched: a place with one such lease in it is no place, so that no other is recalled for nothing.
    /// </summary>
    private HolderCost CostOfTaking(Waiter waiter, Lease lease, long now)
    {
        if (lease.State == LeaseState.Stuck)
            return HolderCost.Never;
        WaitQueue queue = lease.Slot.Waiters;
        // Who comes behind chooses anew if this one takes its place.
        long owed = lease.OwedTo is { } other && queue.IndexOf(other) < queue.IndexOf(waiter) ? lease.OwedDeadline : Deadline.Never;
        if (!lease.IsLive || Math.Min(Math.Min(lease.RecallDeadline, lease.LifeDeadline), owed) <= waiter.Due)
            return new HolderCost(0, lease.Epoch);
        bool isLower = lease.Terms.Priority < waiter.Priority;
        return isLower && now + _clock.Units(lease.Terms.RecallGrace) <= waiter.Due ? new HolderCost(1, lease.Epoch) : HolderCost.Never;
    }

    /// <summary>
    /// Makes the recalls that the waiter chose when its queue was looked at: after those looks, because an end without grace changes the ranges. It chooses once more, because
    /// somebody ahead may have been served elsewhere since, and what was kept for that one is free.
    /// </summary>
    /// <param name="isFirst">Of this waiter, in this transition; then it just goes on, so that two that make way for each other come to an end.</param>
    private void Preempt(Waiter waiter, bool isFirst, long now)
    {
        // Those behind it were not looked at since it chose.
        foreach (DeviceSlot slot in waiter.Slots)
            Wake(slot);
        if (!waiter.OwesRecall)
            return;
        if (isFirst)
            ChooseAgain(waiter, now);
        if (!waiter.OwesRecall)
            return;
        waiter.OwesRecall = false;
        foreach (Lease lease in waiter.Victims)
        {
            if (lease.OwedTo == waiter)
                lease.OwedTo = null;
            RecallLocked(lease, lease.Terms.RecallGrace, EndReason.Preempted, $"uid {waiter.Uid} needs the range, with priority {waiter.Priority}", now);
        }
    }

    private void ChooseAgain(Waiter waiter, long now)
    {
        DeviceSlot chosen = waiter.Target!;
        Forget(waiter);
        Turn turn = TurnOf(chosen, waiter);
        if (chosen.IsOpen && !turn.IsTaken && turn.Affords(waiter, _accounts.GetValueOrDefault(waiter.Uid)))
            Choose(turn, waiter, isWhole: true, now);
    }
}
