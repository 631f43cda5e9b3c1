// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

/// <content>Who may be recalled for whom, and that no other choice would have recalled fewer, or younger ones.</content>
internal sealed partial class ModelWorld
{
    private const int Untouchable = -1;
    private const int StuckWeight = 1000;

    /// <summary>Recalled, or ended, for a waiter since the last look.</summary>
    private readonly HashSet<ModelLease> _newVictims = [];

    private static bool MayPreempt(ModelWaiter waiter) => waiter.Owner.Uid != ShortUid;

    /// <summary>A recall that nobody asked for is a preemption.</summary>
    private void AdoptPreemption(ModelLease lease, LeaseInfo info)
    {
        bool isRecalled = info.State == LeaseState.Recalled && info.RecallReason == EndReason.Preempted && lease.RecallReason != EndReason.Preempted;
        bool isEnded = info.EndReason == EndReason.Preempted && !lease.May.Contains(EndReason.Preempted);
        if (!lease.Live || !(isRecalled || isEnded))
            return;
        _newVictims.Add(lease);
        // While a policy is applied, it may be by the terms before or after.
        long grace = _isApplying ? (long)(info.RecallRemaining?.TotalMilliseconds ?? 0) : lease.Grace;
        long due = _now + grace;
        Assert.True(
            _waiters.Concat(_granted).Any(w => MayPreempt(w) && w.Priority > lease.Priority && due <= w.Due && w.Devices.Contains(lease.Device)),
            $"{lease.Id} of priority {lease.Priority} is preempted, and nobody waits who may do that");
        Assert.True(_isApplying || (due < lease.RecallDeadline && due < lease.LifeDeadline), $"{lease.Id} is preempted, and would have gone as soon");
        if (isEnded)
        {
            _tally.Count(Deed.PreemptedAtOnce);
            Assert.Equal(0, grace);
            lease.MustEnd(EndReason.Preempted);
            return;
        }

        Assert.Equal(grace, (long)info.RecallRemaining!.Value.TotalMilliseconds);
        // While a policy is applied, the waiters come first: what it says of the lease then changes nothing any more.
        if (_isApplying && due <= lease.RecallDeadline)
            lease.RecallDeadline = ModelLease.Never;
        ExpectRecall(lease, grace, EndReason.Preempted);
    }

    /// <summary>Every victim is in the way of somebody who preempts; and where one waiter has begun to, it could not have done with fewer.</summary>
    private void CheckPreemptions(Dictionary<string, ModelPlace> places)
    {
        ModelWaiter[] preempting = [.. _waiters.Where(w => places.GetValueOrDefault(w.Name) is { HasPreempted: true })];
        foreach (ModelLease victim in _newVictims)
        {
            // Also of a senior of lower priority, ahead of the one that might preempt: it takes the place when that is found to come free.
            Assert.True(
                _granted.Count > 0 || preempting.Any(w => IsInTheWay(victim, w, places[w.Name])) || HasGoneToItsUser(victim, places),
                $"{victim.Id} is preempted, and in nobody's way");
        }

        foreach (ModelWaiter waiter in _isApplying ? [] : preempting)
        {
            ModelLease? stays = _leases.Find(l => l.Live && l.Device == places[waiter.Name].Device && Math.Min(l.RecallDeadline, l.LifeDeadline) > waiter.Due && ReachesInto(l, waiter, places[waiter.Name]));
            Assert.True(stays is null, $"{stays?.Id} stays in the place that {waiter.Name} preempts");
        }

        ModelWaiter[] begun = [.. preempting.Where(w => !(_places.GetValueOrDefault(w.Name) is { HasPreempted: true } before && before.IsSamePlace(places[w.Name])))];
        if (begun.Length == 1 && !_isApplying)
            CheckFewest(begun[0], places);
        if (_queued is { } newest && _newVictims.Count == 0 && places.GetValueOrDefault(newest.Name) is { IsKept: true, HasPreempted: false })
            CheckNotPreempting(newest, places);
    }

    /// <summary>It ended at once; so its user may have one more, and a waiter of that user, who comes first, now has the place of the one that preempted.</summary>
    private bool HasGoneToItsUser(ModelLease victim, Dictionary<string, ModelPlace> places) =>
        !victim.Live && _waiters.Exists(w => w.Owner.Uid == victim.Owner.Uid && places.GetValueOrDefault(w.Name) is { IsKept: true } && _places.GetValueOrDefault(w.Name) is not { IsKept: true });

    private void CheckFewest(ModelWaiter waiter, Dictionary<string, ModelPlace> places)
    {
        ModelPlace place = places[waiter.Name];
        // Somebody ahead has moved to what it names, since; or was served, since, on a device where it might have been cheaper without.
        if (!place.IsKept || waiter.Devices.Any(d => _overtaken.Contains((d, waiter.Name))) || Overlap(place.Buffers, KeptFor(_order[place.Device].TakeWhile(w => w != waiter), place.Device, places, out _)))
            return;
        _tally.Count(Deed.Preempting);
        Assert.Equal(CheapestOfAll(waiter, places, l => WeightOfTaking(waiter, l), isTaking: true), Price(waiter, place.Device, place.Buffers, l => WeightOfTaking(waiter, l)));
    }

    /// <summary>Who has just begun to wait: in the place with the fewest in the way; and if it may preempt, because there is none that it may have.</summary>
    private void CheckNotPreempting(ModelWaiter waiter, Dictionary<string, ModelPlace> places)
    {
        ModelPlace place = places[waiter.Name];
        Assert.Equal(CheapestOfAll(waiter, places, WeightOfWaiting, isTaking: false)?.Weight, Price(waiter, place.Device, place.Buffers, WeightOfWaiting)?.Weight);
        if (!MayPreempt(waiter))
            return;
        _tally.Count(Deed.NotPreempting);
        Assert.True(CheapestOfAll(waiter, places, l => WeightOfTaking(waiter, l), isTaking: true) is null, $"{waiter.Name} may preempt, and does not");
    }

    private static bool IsInTheWay(ModelLease victim, ModelWaiter waiter, ModelPlace place) => victim.Device == place.Device
        && (Domain(place.Device) == RevocationDomain.Device || ReachesInto(victim, waiter, place));

    /// <summary>As it was before the recalls of this step.</summary>
    private int WeightOfTaking(ModelWaiter waiter, ModelLease lease)
    {
        if (lease.Stuck)
            return Untouchable;
        bool isVictim = _newVictims.Contains(lease);
        if (!isVictim && (!lease.Live || Math.Min(lease.RecallDeadline, lease.LifeDeadline) <= waiter.Due))
            return 0;
        return lease.Priority < waiter.Priority && _now + lease.Grace <= waiter.Due ? 1 : Untouchable;
    }

    private static int WeightOfWaiting(ModelLease lease) => lease.Stuck ? StuckWeight : lease.Live ? 1 : 0;

    private (int Weight, ulong Age)? CheapestOfAll(ModelWaiter waiter, Dictionary<string, ModelPlace> places, Func<ModelLease, int> weigh, bool isTaking)
    {
        (int Weight, ulong Age)? best = null;
        foreach (int device in waiter.Devices)
        {
            List<LeaseBuffer> kept = KeptFor(_order[device].TakeWhile(w => w != waiter), device, places, out bool isTaken);
            bool isOpen = IsOpen(Manager.Device(Name(device)).State);
            if (isOpen && !isTaken && Cheapest(waiter, device, kept, weigh, isTaking) is { } found && (best is not { } b || IsLess(found, b)))
                best = found;
        }

        return best;
    }

    private static bool IsLess((int Weight, ulong Age) a, (int Weight, ulong Age) b) => a.Weight < b.Weight || (a.Weight == b.Weight && a.Age > b.Age);

    private (int Weight, ulong Age)? Price(ModelWaiter waiter, int device, IReadOnlyList<LeaseBuffer> place, Func<ModelLease, int> weigh)
    {
        var holders = new HashSet<ModelLease>();
        for (int i = 0; i < place.Count; i++)
            holders.UnionWith(_leases.Where(l => !l.Ended && l.Device == device && !(waiter.Shares(i) && l.ReadOnly && l.Live) && Overlap([place[i]], l.Buffers)));
        return Sum(waiter, device, holders, weigh);
    }

    private (int Weight, ulong Age)? Sum(ModelWaiter waiter, int device, IEnumerable<ModelLease> holders, Func<ModelLease, int> weigh)
    {
        ModelLease[] there = [.. holders];
        if (Domain(device) == RevocationDomain.Device && (there.Length > 0 || IsOtherUsers(device, waiter.Owner)))
            there = [.. _leases.Where(l => !l.Ended && l.Device == device)];
        if (Array.Exists(there, l => weigh(l) == Untouchable))
            return null;
        return (there.Sum(weigh), there.Where(l => weigh(l) > 0).Select(static l => l.Epoch).DefaultIfEmpty(ulong.MaxValue).Min());
    }

    /// <summary>By trying every combination of windows. What is kept for those ahead is not to be had by recalls, also where it is named.</summary>
    private (int Weight, ulong Age)? Cheapest(ModelWaiter waiter, int device, List<LeaseBuffer> kept, Func<ModelLease, int> weigh, bool isTaking)
    {
        ModelLease[] held = [.. _leases.Where(l => !l.Ended && l.Device == device)];
        var search = new ModelSearch(held, kept, mask => Sum(waiter, device, Enumerable.Range(0, held.Length).Where(i => (mask >> i & 1) != 0).Select(i => held[i]), weigh));
        return search.Run(waiter, isTaking);
    }
}
