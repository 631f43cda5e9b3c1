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
        if (!lease.IsLive || Math.Min(Math.Min(lease.RecallDeadline, lease.LifeDeadline), lease.OwedDeadline) <= waiter.Due)
            return new HolderCost(0, lease.Epoch);
        bool isLower = lease.Terms.Priority < waiter.Priority;
        return isLower && now + _clock.Units(lease.Terms.RecallGrace) <= waiter.Due ? new HolderCost(1, lease.Epoch) : HolderCost.Never;
    }

    /// <summary>Makes the recalls that were found necessary when the queue was looked at. After that look, because an end without grace changes the ranges.</summary>
    private void Preempt(DeviceSlot slot, long now)
    {
        for (int i = 0; i < slot.Waiters.Count; i++)
        {
            Waiter waiter = slot.Waiters[i];
            if (!waiter.OwesRecall)
                continue;
            waiter.OwesRecall = false;
            foreach (Lease lease in waiter.Victims)
            {
                lease.OwedDeadline = Deadline.Never;
                RecallLocked(lease, lease.Terms.RecallGrace, EndReason.Preempted, $"uid {waiter.Uid} needs the range, with priority {waiter.Priority}", now);
            }
        }
    }
}
