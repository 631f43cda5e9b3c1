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
            Choose(turn, waiter, isWhole, now);
        if (waiter.Target != slot)
            return;
        turn.Reserve(waiter);
    }

    /// <summary>
    /// Where several buffers of any place go beside each other in one BAR, the smallest hole for each in turn may leave none for the last. Looks for free ranges for all of
    /// them; null if there are none.
    /// </summary>
    private static LeaseBuffer[]? Arrange(DeviceSlot slot, Lease lease, AcquireRequest request)
    {
        if (!request.Buffers.Where(static b => b.Size > 0).GroupBy(static b => (b.Bar, b.Of)).Any(static g => g.Skip(1).Any()))
            return null;
        LeaseBuffer?[] named = NamedBuffers(request);
        var turn = new Turn(slot);
        foreach (LeaseBuffer buffer in named.OfType<LeaseBuffer>())
        {
            if (buffer.Ranges.Any(r => slot.Bars[buffer.Bar]!.FindConflict(r, lease.IsReadOnly) is not null))
                return null;
            turn.Keep(buffer);
        }

        return new PlaceSearch(turn, request, static _ => HolderCost.Never).Find(named, []);
    }

    private static void Forget(Waiter waiter)
    {
        waiter.Target = null;
        waiter.Place = [];
        foreach (Lease lease in waiter.Victims)
        {
            if (lease.OwedTo == waiter)
                lease.OwedTo = null;
        }

        waiter.HasPreempted = waiter.OwesRecall = false;
        waiter.Victims = [];
    }

    /// <summary>A lease was granted: places that it reaches into are no longer what their waiters were promised.</summary>
    private void Displace(DeviceSlot slot, Lease lease)
    {
        for (int i = 0; i < slot.Waiters.Count; i++)
        {
            Waiter waiter = slot.Waiters[i];
            if (waiter.Target == slot && ReachesInto(lease, waiter))
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
        // It may be another queue of its own in which it comes to a place again.
        foreach (DeviceSlot slot in waiter.Slots)
            Wake(slot);
        Forget(waiter);
    }

    private static bool ReachesInto(Lease lease, Waiter waiter)
    {
        for (int i = 0; i < waiter.Place.Length; i++)
        {
            if (!(waiter.Shares(i) && lease.IsReadOnly) && Overlap([waiter.Place[i]], lease.Buffers))
                return true;
        }

        return false;
    }

    private static bool Overlap(ImmutableArray<LeaseBuffer> a, ImmutableArray<LeaseBuffer> b) =>
        a.Any(x => b.Any(y => x.Bar == y.Bar && x.Ranges.Any(r => y.Ranges.Any(s => r.Offset < s.End && s.Offset < r.End))));

    /// <summary>
    /// The place where it costs least: if the waiter may preempt, the fewest leases that it may take, and of as many the youngest; where that is not to be had,
    /// or without it, the fewest leases that are to end by themselves.
    /// </summary>
    /// <param name="isWhole">As in <see cref="Keep"/>.</param>
    private void Choose(Turn turn, Waiter waiter, bool isWhole, long now)
    {
        DeviceSlot? former = waiter.Target;
        if (waiter.Terms.MayPreempt && Best(turn, waiter, isTaking: true, now) is { } taken)
        {
            (waiter.Target, waiter.Place, waiter.Victims) = (taken.Slot, taken.Buffers, taken.Victims);
            waiter.HasPreempted = waiter.OwesRecall = true;
            _owing.Enqueue(waiter);
            // For those behind they go anyway.
            foreach (Lease lease in taken.Victims)
                (lease.OwedTo, lease.OwedDeadline) = (waiter, now + _clock.Units(lease.Terms.RecallGrace));
        }
        else if (waiter.Target is null && Best(turn, waiter, isTaking: false, now) is { } place)
        {
            (waiter.Target, waiter.Place) = (place.Slot, place.Buffers);
        }
        else
        {
            return;
        }

        // Those behind it there may have their places where it has its own now.
        if (waiter.Target != turn.Slot || !isWhole)
            Wake(waiter.Target);
        // Where it gave its place up there may be room for those behind it.
        if (former is not null && former != waiter.Target)
            Wake(former);
    }

    private Place? Best(Turn turn, Waiter waiter, bool isTaking, long now)
    {
        Place? best = null;
        foreach (DeviceSlot slot in waiter.Slots)
        {
            Turn there = slot == turn.Slot ? turn : TurnOf(slot, waiter);
            if (!there.IsTaken && FindPlace(there, waiter, isTaking, now) is { } place && (best is null || place.Cost.IsLessThan(best.Cost)))
                best = place;
        }

        return best;
    }

    private Turn TurnOf(DeviceSlot slot, Waiter waiter) => Turn.AheadOf(slot, waiter, uid => _accounts.GetValueOrDefault(uid));

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
        LeaseBuffer?[] named = NamedBuffers(waiter.Request);
        // What leases are taken from there would go to the one ahead.
        if (isTaking && named.Any(b => b?.Ranges.Any(r => turn.IsKept(b.Bar, r)) == true))
            return null;
        HashSet<Lease> inTheWay = HoldersOf(slot, waiter, named);
        if (inTheWay.Any(l => CostOf(waiter, l, isTaking, now).IsNever))
            return null;
        int kept = turn.KeptCount;
        foreach (LeaseBuffer buffer in named.OfType<LeaseBuffer>())
            turn.Keep(buffer);
        // Where ending one ends all, what is free is better than a place whose holders alone would cost nothing.
        bool isFreeBetter = slot.Description.Domain == RevocationDomain.Device && inTheWay.Count == 0 && !slot.IsOtherUsers(waiter.Uid);
        LeaseBuffer[]? buffers = (isFreeBetter ? new PlaceSearch(turn, waiter.Request, static _ => HolderCost.Never).Find(named, inTheWay) : null)
            ?? new PlaceSearch(turn, waiter.Request, l => CostOf(waiter, l, isTaking, now)).Find(named, inTheWay);
        turn.KeepOnly(kept);
        return buffers is null ? null : PriceOf(slot, waiter, buffers, isTaking, now);
    }

    private Place? PriceOf(DeviceSlot slot, Waiter waiter, LeaseBuffer[] buffers, bool isTaking, long now)
    {
        HashSet<Lease> holders = HoldersOf(slot, waiter, buffers);
        HolderCost[] costs = [.. holders.Select(l => CostOf(waiter, l, isTaking, now))];
        if (Array.Exists(costs, static c => c.IsNever))
            return null;
        ulong oldest = costs.Where(static c => c.Weight > 0).Select(static c => c.Age).DefaultIfEmpty(ulong.MaxValue).Min();
        return new Place(slot, [.. buffers], new HolderCost(costs.Sum(static c => c.Weight), oldest), isTaking ? [.. holders.Where(l => CostOfTaking(waiter, l, now).Weight > 0)] : []);
    }

    /// <summary>The buffers that name their place; null for the others.</summary>
    private static LeaseBuffer?[] NamedBuffers(AcquireRequest request)
    {
        LeaseBuffer?[] named = new LeaseBuffer?[request.Buffers.Length];
        for (int i = 0; i < named.Length; i++)
        {
            BufferRequest wanted = request.Buffers[i];
            if (wanted.Size == 0)
                named[i] = new LeaseBuffer(wanted.Bar, wanted.Ranges, SizeOf(wanted));
        }

        return named;
    }

    /// <summary>Who must go before the waiter can have the place.</summary>
    private static HashSet<Lease> HoldersOf(DeviceSlot slot, Waiter waiter, LeaseBuffer?[] place)
    {
        HashSet<Lease> holders = [];
        for (int i = 0; i < place.Length; i++)
        {
            if (place[i] is not { } buffer)
                continue;
            foreach (BarRange range in buffer.Ranges)
                holders.UnionWith(slot.Bars[buffer.Bar]!.HoldersIn(range).Where(l => !l.IsPlaceholder && !(waiter.Shares(i) && l.IsReadOnly && l.IsLive)));
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
