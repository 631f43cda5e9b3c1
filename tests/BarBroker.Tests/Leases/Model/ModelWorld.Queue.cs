// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

/// <content>
/// The queues: in which order they are, that nobody waits who could be served (no lost wake-up), and that what is kept for a waiter stays its own, so that it waits for no
/// lease but those that are there (no starvation).
/// </content>
internal sealed partial class ModelWorld
{
    /// <summary>Who waits for each device, in the order that the rules say.</summary>
    private readonly List<ModelWaiter>[] _order = [[], [], []];

    /// <summary>Leases since the last look.</summary>
    private readonly List<ModelLease> _fresh = [];

    /// <summary>What is kept for readers who name their place, and so not from other readers.</summary>
    private readonly HashSet<LeaseBuffer> _sharedKept = new(ReferenceEqualityComparer.Instance);

    private Dictionary<string, ModelPlace> _places = [];

    /// <summary>Has begun to wait since the last look.</summary>
    private ModelWaiter? _queued;

    /// <summary>A newcomer is put ahead of those of lower priority, but not of a senior, nor of anybody ahead of that one.</summary>
    private int Insertion(int device, int priority)
    {
        List<ModelWaiter> queue = _order[device];
        int index = queue.Count;
        while (index > 0 && queue[index - 1].Priority < priority && _now < queue[index - 1].Since + Patience)
            index--;
        return index;
    }

    /// <summary>Who comes after it: after the waiter, or after somebody who comes now.</summary>
    private HashSet<string> Behind(int device, int priority, ModelWaiter? waiter)
    {
        int index = waiter is null ? -1 : _order[device].IndexOf(waiter);
        return [.. _order[device].Skip(index < 0 ? Insertion(device, priority) : index + 1).Select(static w => w.Name)];
    }

    private void Queue(ModelWaiter waiter, int alreadyWaiting)
    {
        if (!Manager.Waiting(LeaseFilter.All).Any(w => w.Labels[ModelWaiter.Label] == waiter.Name))
            return;
        Assert.True(alreadyWaiting < Options.MaxWaitingPerUid, $"uid {waiter.Owner.Uid} has more acquires that wait than its quota");
        _queued = waiter;
        foreach (int device in waiter.Devices)
        {
            int index = Insertion(device, waiter.Priority);
            if (index < _order[device].Count)
                _tally.Count(Deed.WentAhead);
            else if (index > 0 && _order[device][index - 1].Priority < waiter.Priority)
                _tally.Count(Deed.StayedBehindSenior);
            _order[device].Insert(index, waiter);
        }
    }

    /// <summary>What is kept on the device for those ahead of a newcomer with this request.</summary>
    private List<LeaseBuffer> KeptAhead(int device, AcquireRequest request, Dictionary<string, ModelPlace> places, out bool isTaken) =>
        KeptFor(_order[device].Take(Insertion(device, request.Priority ?? 0)), device, places, out isTaken);

    private List<LeaseBuffer> KeptFor(IEnumerable<ModelWaiter> ahead, int device, Dictionary<string, ModelPlace> places, out bool isTaken)
    {
        List<LeaseBuffer> kept = [];
        isTaken = false;
        foreach (ModelWaiter waiter in ahead)
        {
            if (!places.TryGetValue(waiter.Name, out ModelPlace? place) || place.Device != device || !place.IsKept)
                continue;
            isTaken |= IsOtherUsers(device, waiter.Owner);
            kept.AddRange(place.Buffers);
            _sharedKept.UnionWith(place.Buffers.Where((_, i) => waiter.Shares(i)));
        }

        return kept;
    }

    private void ObserveQueues()
    {
        WaiterInfo[] all = [.. Manager.Waiting(LeaseFilter.All)];
        Dictionary<string, ModelPlace> places = [];
        if (_waiters.Count > 0 || all.Length > 0)
        {
            for (int d = 0; d < DeviceCount; d++)
                ObserveQueue(d, Manager.Device(Name(d)), [.. all.Where(w => w.Device == Name(d))], places);
            foreach (ModelWaiter waiter in _waiters)
                CheckPlaceStays(waiter, _places.GetValueOrDefault(waiter.Name), places.GetValueOrDefault(waiter.Name), places);
            CheckPreemptions(places);
        }
        else
        {
            Array.ForEach(_order, static q => q.Clear());
        }

        _places = places;
        _queued = null;
        _fresh.Clear();
        _newVictims.Clear();
    }

    private void ObserveQueue(int device, DeviceInfo info, WaiterInfo[] queue, Dictionary<string, ModelPlace> places)
    {
        Assert.Equal(queue.Length, info.Waiting);
        _order[device].RemoveAll(w => !_waiters.Contains(w));
        Assert.Equal(_order[device].Select(static w => w.Name), queue.Select(static w => w.Labels[ModelWaiter.Label]));
        for (int i = 0; i < queue.Length; i++)
        {
            ModelWaiter waiter = _order[device][i];
            Assert.Equal(
                (i + 1, waiter.Priority, BytesOf(waiter.Request), _now - waiter.Since, Left(waiter.Due), waiter.Terms.Rule),
                (queue[i].Position, queue[i].Priority, queue[i].Bytes, (long)queue[i].Waited.TotalMilliseconds, (long)queue[i].Remaining.TotalMilliseconds, queue[i].PolicyRule));
            ModelWaiter[] ahead = [.. _order[device].Take(i)];
            List<LeaseBuffer> kept = KeptFor(ahead, device, places, out bool isTaken);
            bool isOpen = IsOpen(info.State);
            bool affords = !IsOverQuota(waiter.Request, waiter.Owner, waiter.Terms, PromisedOf(device, ahead, places));
            // No lost wake-up.
            if (info.State == DeviceState.Ready && !isTaken && !IsOtherUsers(device, waiter.Owner) && affords)
                Assert.False(HasRoom(device, waiter.Request, kept), $"{waiter.Name} waits for {info.Name}, where there is room for it");
            if (isOpen && isTaken)
                _tally.Count(Deed.TurnTaken);
            bool isPromised = isOpen && !isTaken && affords;
            if (!queue[i].Kept.IsEmpty)
                ObservePlace(waiter, new ModelPlace(device, i, queue[i].Kept, isPromised, queue[i].HasPreempted), kept, places);
            else if (isPromised && waiter.Devices.Length == 1)
                Assert.True(Cheapest(waiter, device, kept, WeightOfWaiting, isTaking: false) is null, $"{waiter.Name} has no place, and there is one");
        }
    }

    /// <summary>Those that have a place there.</summary>
    private static ModelWaiter[] PromisedOf(int device, IEnumerable<ModelWaiter> ahead, Dictionary<string, ModelPlace> places) =>
        [.. ahead.Where(a => places.GetValueOrDefault(a.Name) is { IsKept: true } place && place.Device == device)];

    private static void ObservePlace(ModelWaiter waiter, ModelPlace place, List<LeaseBuffer> kept, Dictionary<string, ModelPlace> places)
    {
        Assert.True(places.TryAdd(waiter.Name, place), $"{waiter.Name} has places on two devices");
        for (int i = 0; i < place.Buffers.Length; i++)
        {
            CheckShape(waiter.Request.Buffers[i], place.Buffers[i], maySplit: false);
            if (place.IsKept && waiter.Request.Buffers[i].Size > 0)
                Assert.False(Overlap([place.Buffers[i]], kept), $"the place of {waiter.Name} is kept for somebody ahead");
        }
    }

    /// <summary>Nobody who comes behind gets anything of a place; and it moves only for a reason.</summary>
    private void CheckPlaceStays(ModelWaiter waiter, ModelPlace? before, ModelPlace? now, Dictionary<string, ModelPlace> places)
    {
        if (before is not { IsKept: true } || now is not { IsKept: true } || _isApplying)
            return;
        ModelLease[] newcomers = [.. _fresh.Where(l => l.Device == before.Device && ReachesInto(l, waiter, before))];
        ModelLease[] fromBehind = [.. newcomers.Where(l => !l.Behind.Contains(waiter.Name))];
        if (now.IsSamePlace(before))
        {
            Assert.True(fromBehind.Length == 0 || HasLostItsPromise(waiter, before.Device, places), $"{string.Join(", ", fromBehind.Select(static l => l.Id))} came behind {waiter.Name}, and has got a part of its place");
            return;
        }

        // Then those behind may have what it has left.
        _tally.Count(Deed.PlaceMoved);
        bool hasCause = newcomers.Length > fromBehind.Length
            || (now.HasPreempted && !before.HasPreempted)
            || _leases.Exists(l => l.Stuck && l.Device == before.Device && Overlap(l.Buffers, before.Buffers))
            || IsKeptForSomebodyAhead(waiter, before, places)
            // Somebody ahead was to have it here, and was granted what it wanted elsewhere when that device was looked at, or gave up.
            || _overtaken.Contains((before.Device, waiter.Name))
            || HasLostItsPromise(waiter, before.Device, places);
        Assert.True(hasCause, $"the place of {waiter.Name} has moved without a cause");
    }

    /// <summary>
    /// Somebody ahead had a place for the moment in which its user could have one more lease, and so the waiter had none, or another; then that user's one more was another.
    /// </summary>
    private bool HasLostItsPromise(ModelWaiter waiter, int device, Dictionary<string, ModelPlace> places) =>
        _order[device].TakeWhile(w => w != waiter).Any(a => places.GetValueOrDefault(a.Name) is not { IsKept: true } && _fresh.Exists(l => l.Owner.Uid == a.Owner.Uid));

    private bool IsKeptForSomebodyAhead(ModelWaiter waiter, ModelPlace before, Dictionary<string, ModelPlace> places)
    {
        HashSet<string> ahead = [.. _order[before.Device].TakeWhile(w => w != waiter).Select(static w => w.Name)];
        return _places.Any(p => p.Key != waiter.Name && p.Value.Device == before.Device && p.Value.Index < before.Index && Overlap(p.Value.Buffers, before.Buffers))
            || places.Any(p => ahead.Contains(p.Key) && p.Value.Device == before.Device && Overlap(p.Value.Buffers, before.Buffers));
    }

    private static bool ReachesInto(ModelLease lease, ModelWaiter waiter, ModelPlace place) =>
        Enumerable.Range(0, place.Buffers.Length).Any(i => !(waiter.Shares(i) && lease.ReadOnly) && Overlap([place.Buffers[i]], lease.Buffers));

    private static bool Overlap(IEnumerable<LeaseBuffer> a, IEnumerable<LeaseBuffer> b) =>
        a.Any(x => b.Any(y => x.Bar == y.Bar && x.Ranges.Any(r => y.Ranges.Any(s => r.Offset < s.End && s.Offset < r.End))));
}
