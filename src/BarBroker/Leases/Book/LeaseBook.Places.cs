// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;

namespace BarBroker.Leases;

/// <content>Where waiters will go. A place moves only when somebody ahead has got a part of it, or a lease in it is stuck: the leases there become fewer, never more.</content>
internal sealed partial class LeaseBook
{
    /// <summary>What a stuck lease weighs: nobody knows when it goes.</summary>
    private const int StuckWeight = 1000;

    /// <summary>Keeps the waiter's place from those behind it until the turn is undone.</summary>
    /// <param name="isWhole">Those behind are looked at in this turn; else they must be later if a place moves now.</param>
    private void Keep(Turn turn, Waiter waiter, long now, bool isWhole)
    {
        DeviceSlot slot = turn.Slot;
        // Over its own quota it stands in nobody's way.
        if (!slot.IsOpen || turn.IsTaken || !turn.Affords(waiter, _accounts.GetValueOrDefault(waiter.Uid)))
            return;
        bool isOld = waiter.Target == slot;
        if (isOld && !turn.IsFreeOfOthers(waiter))
        {
            Forget(waiter);
            if (!isWhole)
                Wake(slot);
        }

        // Where it could not preempt before, it may be able to since something has changed.
        if (waiter.Target is null || (isWhole && waiter.Terms.MayPreempt && !waiter.HasPreempted))
            Choose(turn, waiter, now);
        if (waiter.Target != slot)
            return;
        turn.Reserve(waiter);
    }

    private static void Forget(Waiter waiter)
    {
        waiter.Target = null;
        waiter.Place = [];
        waiter.HasPreempted = waiter.OwesRecall = false;
        waiter.Victims = [];
    }

    /// <summary>A lease was granted: places that it reaches into are no longer what their waiters were promised.</summary>
    private void Displace(DeviceSlot slot, Lease lease)
    {
        for (int i = 0; i < slot.Waiters.Count; i++)
        {
            Waiter waiter = slot.Waiters[i];
            if (waiter.Target == slot && !(waiter.IsReadOnly && lease.IsReadOnly) && Overlap(waiter.Place, lease.Buffers))
                Move(waiter);
        }
    }

    /// <summary>A lease got stuck: elsewhere the waiter may get its turn sooner.</summary>
    private void MoveFrom(Lease lease)
    {
        DeviceSlot slot = lease.Slot;
        for (int i = 0; i < slot.Waiters.Count; i++)
        {
            Waiter waiter = slot.Waiters[i];
            if (waiter.Target == slot && Overlap(waiter.Place, lease.Buffers))
                Move(waiter);
        }
    }

    /// <summary>The device came back with other BARs.</summary>
    private void MoveAll(DeviceSlot slot)
    {
        for (int i = 0; i < slot.Waiters.Count; i++)
        {
            if (slot.Waiters[i].Target == slot)
                Move(slot.Waiters[i]);
        }
    }

    private void Move(Waiter waiter)
    {
        Wake(waiter.Target!);
        Forget(waiter);
    }

    private static bool Overlap(ImmutableArray<LeaseBuffer> a, ImmutableArray<LeaseBuffer> b) =>
        a.Any(x => b.Any(y => x.Bar == y.Bar && x.Ranges.Any(r => y.Ranges.Any(s => r.Offset < s.End && s.Offset < r.End))));

    /// <summary>
    /// The place where it costs least: if the waiter may preempt, the fewest leases that it may take, and of as many the youngest; where that is not to be had,
    /// or without it, the fewest leases that are to end by themselves.
    /// </summary>
    private void Choose(Turn turn, Waiter waiter, long now)
    {
        if (waiter.Terms.MayPreempt && Best(turn, waiter, isTaking: true, now) is { } taken)
        {
            (waiter.Target, waiter.Place, waiter.Victims) = (taken.Slot, taken.Buffers, taken.Victims);
            waiter.HasPreempted = waiter.OwesRecall = true;
        }
        else if (waiter.Target is null && Best(turn, waiter, isTaking: false, now) is { } place)
        {
            (waiter.Target, waiter.Place) = (place.Slot, place.Buffers);
        }
    }

    private Place? Best(Turn turn, Waiter waiter, bool isTaking, long now)
    {
        Place? best = null;
        foreach (DeviceSlot slot in waiter.Slots)
        {
            Turn there = slot == turn.Slot ? turn : Turn.AheadOf(slot, waiter);
            if (!there.IsTaken && FindPlace(there, waiter, isTaking, now) is { } place && (best is null || place.Cost.IsLessThan(best.Cost)))
                best = place;
        }

        return best;
    }

    private HolderCost CostOf(Waiter waiter, Lease lease, bool isTaking, long now)
    {
        // What is kept for those ahead.
        if (lease.IsPlaceholder)
            return HolderCost.Never;
        return isTaking ? CostOfTaking(waiter, lease, now) : new(lease.State switch { LeaseState.Stuck => StuckWeight, LeaseState.Revoking => 0, _ => 1 }, 0);
    }

    /// <summary>Null if there is none on the device that does not cost <see cref="HolderCost.Never"/>.</summary>
    private Place? FindPlace(Turn turn, Waiter waiter, bool isTaking, long now)
    {
        DeviceSlot slot = turn.Slot;
        if (!slot.IsOpen || slot.Description!.Domain == RevocationDomain.None || CheckFit(waiter.Request, slot) is not null)
            return null;
        int kept = turn.KeptCount;
        LeaseBuffer?[] buffers = new LeaseBuffer?[waiter.Request.Buffers.Length];
        bool found = FindBuffers(explicitOnes: true) && FindBuffers(explicitOnes: false);
        turn.KeepOnly(kept);
        if (!found)
            return null;
        HashSet<Lease> holders = HoldersOf(slot, waiter, buffers);
        HolderCost[] costs = [.. holders.Select(l => CostOf(waiter, l, isTaking, now))];
        if (Array.Exists(costs, static c => c.IsNever))
            return null;
        ulong oldest = costs.Where(static c => c.Weight > 0).Select(static c => c.Age).DefaultIfEmpty(ulong.MaxValue).Min();
        return new Place(slot, [.. buffers!], new HolderCost(costs.Sum(static c => c.Weight), oldest), isTaking ? [.. holders.Where(l => CostOfTaking(waiter, l, now).Weight > 0)] : []);

        // First what names its place, so that what does not is not put there.
        bool FindBuffers(bool explicitOnes)
        {
            for (int i = 0; i < buffers.Length; i++)
            {
                BufferRequest wanted = waiter.Request.Buffers[i];
                if (wanted.Size == 0 != explicitOnes)
                    continue;
                ImmutableArray<BarRange> ranges = wanted.Ranges;
                // What leases are taken from there would go to the one ahead.
                if (explicitOnes && isTaking && ranges.Any(r => turn.IsKept(wanted.Bar, r)))
                    return false;
                if (!explicitOnes)
                {
                    RangeAllocator<Lease> bar = slot.Bars[wanted.Bar]!;
                    if ((Follow(waiter.Request.Buffers, buffers, i) ?? bar.FindWindow(wanted.Size, wanted.Alignment, turn.Kept(wanted.Bar), l => CostOf(waiter, l, isTaking, now), out _, bar.Area(wanted.Of))) is not { } window)
                        return false;
                    ranges = [window];
                }

                buffers[i] = new LeaseBuffer(wanted.Bar, ranges, SizeOf(wanted));
                foreach (BarRange range in ranges)
                    turn.Keep(wanted.Bar, range);
            }

            return true;
        }
    }

    /// <summary>Who must go before the waiter can have the place.</summary>
    private static HashSet<Lease> HoldersOf(DeviceSlot slot, Waiter waiter, LeaseBuffer?[] place)
    {
        HashSet<Lease> holders = [];
        for (int i = 0; i < place.Length; i++)
        {
            bool shares = waiter.IsReadOnly && waiter.Request.Buffers[i].Size == 0;
            foreach (BarRange range in place[i]!.Ranges)
                holders.UnionWith(slot.Bars[place[i]!.Bar]!.HoldersIn(range).Where(l => !l.IsPlaceholder && !(shares && l.IsReadOnly && l.IsLive)));
        }

        // Where ending one ends all, they are all in the way of what is not free; another user's are always.
        if (slot.Description!.Domain == RevocationDomain.Device && (holders.Count > 0 || slot.IsOtherUsers(waiter.Uid)))
            holders.UnionWith(slot.Leases);
        return holders;
    }

    /// <summary>A place that a waiter could be given.</summary>
    /// <param name="Victims">The leases that are to be recalled for it.</param>
    private sealed record Place(DeviceSlot Slot, ImmutableArray<LeaseBuffer> Buffers, HolderCost Cost, ImmutableArray<Lease> Victims);
}
