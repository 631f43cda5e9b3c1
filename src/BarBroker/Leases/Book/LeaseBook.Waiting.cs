// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Policy;

namespace BarBroker.Leases;

/// <content>
/// <para>
/// Acquires that wait. A waiter is in the queue of its device, or of every device that will do. Whatever may make room for somebody (a range that is free, a quota, a
/// device that is ready, a waiter that goes) marks the device by <see cref="Wake"/>; before the transition that did it leaves the lock, the queues of the marked devices
/// are looked at from the front, so that there is no moment at which room and a waiter for it exist side by side.
/// </para>
/// <para>
/// Who comes behind may go first where that takes nothing from those ahead. So that it takes nothing, each waiter that cannot be served gets a place (see
/// <see cref="Waiter.Place"/>), of which nobody behind it gets anything; the leases that are there already are all that it waits for. Also an acquire
/// that does not wait is one that is looked at in its turn, once.
/// </para>
/// </content>
internal sealed partial class LeaseBook
{
    private readonly Queue<DeviceSlot> _woken = [];

    /// <summary>Waiters that have chosen whom to preempt, and some that have dropped that choice.</summary>
    private readonly Queue<Waiter> _owing = [];

    private int _waiting;

    /// <summary>What waits, by device and then in the order in which it is looked at; what waits for any device comes once for each.</summary>
    public ImmutableArray<WaiterInfo> Waiting(LeaseFilter filter)
    {
        lock (_lock)
        {
            long now = _clock.Now;
            var all = ImmutableArray.CreateBuilder<WaiterInfo>();
            foreach (DeviceSlot slot in _slots)
            {
                for (int i = 0; i < slot.Waiters.Count; i++)
                {
                    if (Matches(slot.Waiters[i], slot, filter))
                        all.Add(ToInfo(slot.Waiters[i], slot, i, now));
                }
            }

            return all.ToImmutable();
        }
    }

    /// <summary>Whether a later time may bring what there is not now.</summary>
    private static bool MayChange(LeaseException refusal) => refusal.Error is LeaseError.NoRoom or LeaseError.Quota or LeaseError.Unavailable;

    private static bool Matches(Waiter waiter, DeviceSlot slot, LeaseFilter filter) =>
        filter.States.IsDefaultOrEmpty
        && (filter.Device.Length == 0 || slot.Name == filter.Device)
        && (filter.Uid is null || waiter.Uid == filter.Uid)
        && (filter.Pid is null || waiter.Owner.Owner.Pid == filter.Pid)
        && filter.Labels.All(wanted => waiter.Request.Labels.TryGetValue(wanted.Key, out string? value) && value == wanted.Value);

    private WaiterInfo ToInfo(Waiter waiter, DeviceSlot slot, int index, long now) => new(
        slot.Name,
        index + 1,
        waiter.Owner.Owner,
        waiter.Request.Labels,
        waiter.Request.Buffers,
        waiter.Request.Access,
        waiter.Bytes,
        waiter.Priority,
        _clock.Span(Math.Max(0, now - waiter.Since)),
        _clock.Span(Math.Max(0, waiter.Due - now)),
        waiter.Target == slot ? waiter.Place : [],
        waiter.HasPreempted,
        waiter.Terms.RuleName)
    {
        Pool = waiter.Request.Pool,
    };

    /// <summary>A lease if it is the request's turn and there is room; else it is put in the queue, or refused.</summary>
    private Claim PlaceOrWait(AcquireRequest request, OwnerRecord record, LeaseTerms terms)
    {
        DeviceSlot[] slots = request.Device.Length > 0 ? [FindSlot(request.Device, terms)] : [.. _slots.Where(s => IsFor(s, request, terms))];
        if (slots.Length == 0)
            throw NoDevice(request, terms);
        // Proofs may just have come: those who wait for them are there before it.
        ServeWoken();
        long now = _clock.Now;
        var waiter = new Waiter(request, record, terms, BytesOf(request), slots)
        {
            Since = now,
            SeniorAt = now + _clock.Units(_options.WaitPatience),
            Due = now + _clock.Units(request.Wait ?? TimeSpan.Zero),
        };
        foreach (DeviceSlot slot in slots)
            slot.Waiters.Add(waiter, now);
        LeaseException? refusal = LookAt(waiter, now);
        if (refusal is null)
            return waiter.Granted!;
        refusal = CheckWait(waiter, refusal);
        if (refusal is not null)
        {
            foreach (DeviceSlot slot in slots)
                slot.Waiters.Remove(waiter);
            throw refusal;
        }

        Account(waiter.Uid).Waiting++;
        _waiting++;
        record.Waiters.Add(waiter);
        _deadlines.Set(waiter, waiter.Due);
        // With it in the queue, its place is chosen, and leases are recalled for it if it may do that.
        foreach (DeviceSlot slot in slots)
            Wake(slot);
        return waiter;
    }

    /// <summary>Tries the devices of one waiter, in its turn. Null if it was granted; else the refusal that is nearest to a grant.</summary>
    private LeaseException? LookAt(Waiter waiter, long now)
    {
        LeaseException? nearest = null;
        foreach (DeviceSlot slot in waiter.Slots)
        {
            Serve(slot, waiter, now);
            if (waiter.Granted is not null)
                return null;
            nearest = Nearer(nearest, waiter.Refusal!);
        }

        return nearest;
    }

    /// <summary>Null if it may wait; else why it is refused at once.</summary>
    private LeaseException? CheckWait(Waiter waiter, LeaseException refusal)
    {
        LeaseTerms terms = waiter.Terms;
        if (waiter.Due <= waiter.Since || !MayChange(refusal) || Array.TrueForAll(waiter.Slots, static s => s.IsOpen && s.Description!.Domain == RevocationDomain.None))
            return refusal;
        // Whatever is released, it would stay over its quota.
        if (terms.MaxLeases < 1 || waiter.Bytes > terms.MaxBytes)
            return refusal;
        int limit = terms.MaxWaiting ?? _options.MaxWaitingPerUid;
        int waiting = _accounts.GetValueOrDefault(waiter.Uid)?.Waiting ?? 0;
        if (waiting < limit)
            return null;
        string rule = terms.Rule is null ? "" : $"policy rule {terms.RuleName}: ";
        return new(LeaseError.Quota, $"{rule}uid {waiter.Uid} has {waiting} acquires that wait, and {limit} is its quota; and without waiting: {refusal.Message}") { Field = "wait", LeaseId = refusal.LeaseId, Device = refusal.Device };
    }

    /// <summary>The device's queue is looked at before this transition ends.</summary>
    private void Wake(DeviceSlot slot)
    {
        if (slot.IsWoken || slot.Waiters.Count == 0)
            return;
        slot.IsWoken = true;
        _woken.Enqueue(slot);
    }

    /// <summary>A uid may have more again: its waiters may be anywhere.</summary>
    private void WakeAll()
    {
        foreach (DeviceSlot slot in _slots)
            Wake(slot);
    }

    /// <summary>
    /// Before the lock is left. Recalls cannot be taken back: they are made when everybody who can be served was, on every device. It ends because each round is caused by a
    /// lease that ended or a waiter that went or moved.
    /// </summary>
    private void ServeWoken()
    {
        HashSet<Waiter>? seen = null;
        while (true)
        {
            if (_woken.TryDequeue(out DeviceSlot? slot))
            {
                slot.IsWoken = false;
                Serve(slot, null, _clock.Now);
            }
            else if (_owing.TryDequeue(out Waiter? waiter))
            {
                Preempt(waiter, (seen ??= []).Add(waiter), _clock.Now);
            }
            else
            {
                return;
            }
        }
    }

    /// <summary>
    /// Looks at the queue of the device in order: who can be served is, and for who cannot a place is kept from those behind. It stops at one whose recalls are still to be
    /// made (see <see cref="Preempt"/>). With <paramref name="only"/>, up to that
    /// one, for those ahead of whom nothing has changed.
    /// </summary>
    private void Serve(DeviceSlot slot, Waiter? only, long now)
    {
        var turn = new Turn(slot);
        for (int i = 0; i < slot.Waiters.Count;)
        {
            Waiter waiter = slot.Waiters[i];
            LeaseException? refusal;
            if (waiter == only || (only is null && MightFit(slot, waiter)))
            {
                refusal = turn.IsTaken ? Behind(slot) : TryGrant(turn, waiter, now);
                waiter.Refusal = refusal;
                if (refusal is null || (only is null && RefuseForGood(waiter, slot, refusal)))
                    continue;
            }

            if (waiter == only)
                break;
            Keep(turn, waiter, now, isWhole: only is null);
            // It may choose another place yet; until then nobody behind gets a part of any.
            if (waiter.OwesRecall && only is null)
                break;
            i++;
        }

        turn.Undo();
    }

    /// <summary>False only where a try would be refused for something that may change: most of a queue, most of the time, and then cheap.</summary>
    private static bool MightFit(DeviceSlot slot, Waiter waiter)
    {
        if (!slot.IsOpen || slot.IsCordoned)
            return false;
        foreach (BufferRequest wanted in waiter.Request.Buffers)
        {
            if (slot.Bars[wanted.Bar]?.Area(wanted.Of) is { } area && wanted.Size > (wanted.AllowSplit ? area.Free : area.LargestFree) && wanted.Size <= area.Size)
                return false;
            if (slot.Bars[wanted.Bar] is { } named && wanted.Size == 0 && wanted.Ranges.Any(r => r.End <= named.Size && named.FindConflict(r, waiter.IsReadOnly) is not null))
                return false;
        }

        return true;
    }

    /// <summary>Null: it is granted, and in no queue any more.</summary>
    private LeaseException? TryGrant(Turn turn, Waiter waiter, long now)
    {
        DeviceSlot slot = turn.Slot;
        if (QuotaRefusal(waiter.Bytes, waiter.Uid, waiter.Terms, turn.PromisedTo(waiter.Uid)) is { } over)
            return over;
        if (TryPlace(slot, waiter.Request, waiter.Owner, out LeaseException? refusal) is not { } lease)
            return refusal;
        Register(lease, waiter.Terms, waiter.Bytes);
        lease.Pending = waiter.Pending;
        lease.Recipients = waiter.Recipients;
        lease.PendingCalls = waiter.PendingCalls;
        waiter.Granted = lease;
        Leave(waiter, WaitOutcome.Granted, now);
        Displace(slot, lease);
        return null;
    }

    /// <summary>The device turned out to be one that will never do; if no other is left, the waiter is refused.</summary>
    private bool RefuseForGood(Waiter waiter, DeviceSlot slot, LeaseException refusal)
    {
        if (MayChange(refusal) || waiter.Slots.Any(other => other != slot && !(other.IsOpen && CheckFit(waiter.Request, other) is not null)))
            return false;
        Refuse(waiter, refusal, WaitOutcome.Refused);
        return true;
    }

    /// <summary>The wait is over: it is told what it would have been told without waiting.</summary>
    private void TimeOut(Waiter waiter, long now)
    {
        // Nothing can have been missed; this finds the words for what is in the way now.
        if (LookAt(waiter, now) is not { } refusal)
            return;
        string wait = $"waited for {_clock.Span(waiter.Due - waiter.Since).TotalSeconds:0.###} s: ";
        Refuse(waiter, new LeaseException(refusal.Error, wait + refusal.Message) { Field = refusal.Field, LeaseId = refusal.LeaseId, Device = refusal.Device }, WaitOutcome.TimedOut);
    }

    private void Refuse(Waiter waiter, LeaseException refusal, WaitOutcome outcome)
    {
        Leave(waiter, outcome, _clock.Now);
        Fail(waiter, refusal);
    }

    /// <summary>Out of all queues, for whatever reason; what was kept for it may be somebody's now.</summary>
    private void Leave(Waiter waiter, WaitOutcome outcome, long now)
    {
        foreach (DeviceSlot slot in waiter.Slots)
            slot.Waiters.Remove(waiter);
        if (!waiter.Owner.Waiters.Remove(waiter))
            return;
        Account(waiter.Uid).Waiting--;
        Settle(waiter.Uid);
        _waiting--;
        _deadlines.Set(waiter, Deadline.Never);
        _metrics.Waited(outcome, _clock.Span(now - waiter.Since));
        foreach (DeviceSlot slot in waiter.Slots)
            Wake(slot);
    }

    private void RefuseAll(DeviceSlot slot, LeaseException refusal)
    {
        while (slot.Waiters.Count > 0)
            Refuse(slot.Waiters[0], refusal, WaitOutcome.Refused);
    }

    private static LeaseException Behind(DeviceSlot slot) =>
        new(LeaseError.NoRoom, $"device {slot.Name} serves one user at a time, and another one's turn comes first") { Device = slot.Name };
}
