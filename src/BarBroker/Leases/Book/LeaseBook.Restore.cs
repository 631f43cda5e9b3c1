// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Policy;
using BarBroker.Pools;

namespace BarBroker.Leases;

/// <content>
/// What an earlier run has left, taken up again: a device that stayed open, with its leases as they were. Each lease has the deadlines that it had, so that what is over by now ends at once, for
/// its true reason; and what its record does not explain ends all that is on the device, by closing it, before anything is granted there.
/// </content>
internal sealed partial class LeaseBook
{
    /// <summary>In the terms of all that was taken up.</summary>
    private LeasePolicy? _inherited;

    /// <summary>To be called before the start.</summary>
    public void Inherit(string device, KeptDevice kept)
    {
        using Transition _ = Enter();
        _slotsByName[device].Kept = kept;
    }

    /// <summary>Grants nothing more and leaves everything as it is, but for leases whose buffers nobody keeps: those would take their devices with them. Completes when they have ended, or are stuck.</summary>
    public Task Leave()
    {
        using Transition _ = Enter();
        long now = _clock.Now;
        _shuttingDown = true;
        List<Task> ends = [];
        foreach (DeviceSlot slot in _slots)
        {
            RefuseAll(slot, new LeaseException(LeaseError.Unavailable, "the broker is restarting; try again when it is back"));
            foreach (Lease lease in slot.Leases.Where(static l => !l.IsKept && l.Phase == ExportPhase.Done).ToArray())
            {
                EndLocked(lease, EndReason.BrokerRestart, "the broker is restarting, and the service manager had no room for the lease", now);
                if (lease.State == LeaseState.Revoking)
                    ends.Add((lease.EndWaiter ??= new TaskCompletionSource<LeaseInfo>(TaskCreationOptions.RunContinuationsAsynchronously)).Task);
            }
        }

        return Task.WhenAll(ends);
    }

    /// <summary>On the device thread: the device is open as the earlier run left it. Its leases are taken up, all of them in one step.</summary>
    /// <param name="leases">With the buffers that the device has taken up.</param>
    /// <param name="problem">Why it has to be closed wholly all the same; empty: it does not.</param>
    public void Restored(DeviceSlot slot, DeviceDescription description, KeptDevice kept, IReadOnlyList<KeptLease> leases, string problem)
    {
        using Transition _ = Enter();
        long now = _clock.Now;
        slot.Kept = null;
        slot.Generation = kept.Generation;
        slot.LostPlaces.AddRange(kept.Lost);
        Describe(slot, description);
        slot.RecycleCause = "the device was closed";
        var revived = new List<Lease>(leases.Count);
        foreach (KeptLease lease in leases)
        {
            if (Misfit(slot, lease) is { } misfit)
            {
                problem = problem.Length > 0 ? problem : misfit;
                slot.LostPlaces.Add(lease.Board.Place);
                foreach (ExportedBuffer buffer in lease.Exported)
                    buffer.Dispose();
                continue;
            }

            revived.Add(Revive(slot, lease, now));
        }

        foreach (Lease lease in revived)
        {
            if (TakeUp(lease) is { } other)
                problem = problem.Length > 0 ? problem : $"leases {other.Id} and {lease.Id} of before the restart have the same bytes, by their records";
        }

        foreach (Lease lease in revived)
            GoOn(lease, now);
        if (problem.Length > 0)
        {
            CloseUnproven(slot, problem, now);
        }
        else
        {
            slot.IsOpen = true;
            slot.Detail = description.Detail;
            Wake(slot);
            // What was kept of the lost ones was revoked, and of nothing else has anybody ever had something.
            AccountFor(slot);
            foreach (Lease lease in revived)
                CatchUp(lease, now);
            _observers.Add(() => slot.FirstOpen.TrySetResult());
        }

        Tell(slot);
    }

    /// <summary>On the device thread: nothing of the earlier run is taken up, and what it kept was let go. The device is opened anew, which is possible only when nobody has it any more.</summary>
    public void NotRestored(DeviceSlot slot, KeptDevice kept, string detail)
    {
        using Transition _ = Enter();
        slot.Kept = null;
        slot.Generation = kept.Generation;
        slot.LostPlaces.AddRange(kept.Lost);
        slot.LostPlaces.AddRange(kept.Leases.Select(static l => l.Board.Place));
        slot.Detail = detail;
        slot.NeedsClose = true;
        Tell(slot);
        PostRecycle(slot);
    }

    /// <summary>Leases of an earlier run that are neither taken up nor proven to be over, by their epochs.</summary>
    public ImmutableHashSet<ulong> Unaccounted()
    {
        lock (_lock)
            return [.. _slots.SelectMany(static s => s.Unaccounted)];
    }

    /// <summary>The lost leases are over. First on the board: a lease that is on it and has no open record would be taken for one that nothing is known of.</summary>
    private void AccountFor(DeviceSlot slot)
    {
        slot.LostPlaces.ForEach(static place => place.Free());
        slot.LostPlaces.Clear();
        _observers.Add(() => slot.Accounted.TrySetResult());
    }

    /// <summary>What to say of a lease that is not taken up yet, to its owner; null: it is none.</summary>
    private LeaseException? Awaited(string leaseId, uint? uid)
    {
        foreach (DeviceSlot slot in _slots)
        {
            if (slot.Kept?.Leases.FirstOrDefault(l => l.Id == leaseId) is { } lease && (uid is null || lease.Owner.Uid == uid))
                return new LeaseException(LeaseError.Unavailable, $"lease {leaseId} is of before the restart of the broker, and device {slot.Name} is still {slot.Detail}; try again") { LeaseId = leaseId, Device = slot.Name };
        }

        return null;
    }

    private void CloseUnproven(DeviceSlot slot, string problem, long now)
    {
        Withdraw(slot, $"being closed, because of what the broker found when it started again: {problem}");
        EndAll(slot, EndReason.BrokerRestart, problem, now);
        PostRecycle(slot);
    }

    /// <summary>Why the record cannot be of this device as it is; null: it can.</summary>
    private static string? Misfit(DeviceSlot slot, KeptLease lease)
    {
        ulong page = slot.Description!.PageSize;
        foreach (LeaseBuffer buffer in lease.Buffers)
        {
            RangeAllocator<Lease>? bar = buffer.Bar >= 0 && buffer.Bar < slot.Bars.Length ? slot.Bars[buffer.Bar] : null;
            if (bar is null || buffer.Ranges.IsEmpty)
                return $"the record of lease {lease.Id} names BAR {buffer.Bar}, which the device does not have";
            foreach (BarRange range in buffer.Ranges)
            {
                if (range.Length == 0 || (range.Offset | range.Length) % page != 0 || range.Offset >= bar.Size || range.Length > bar.Size - range.Offset)
                    return $"the record of lease {lease.Id} names range {range} of BAR {buffer.Bar}, which has {ByteText.Of(bar.Size)}";
            }
        }

        return null;
    }

    private Lease Revive(DeviceSlot slot, KeptLease kept, long now)
    {
        OwnerRecord owner = _owners.GetValue(kept.Owner, static o => new OwnerRecord(o));
        Pool? pool = kept.Pool.Length > 0 ? _pools.FirstOrDefault(p => p.Name == kept.Pool) : null;
        var request = new AcquireRequest(
            slot.Name,
            [.. kept.Buffers.Select(b => kept.Marks.NamesRanges ? new BufferRequest(b.Bar, b.Ranges) : new BufferRequest(b.Bar, [], b.Size))],
            kept.Access,
            kept.Attribute,
            kept.Ttl,
            kept.HangLimit,
            kept.Labels,
            kept.Marks.RequestId)
        { Pool = kept.Pool, Source = pool, Trace = kept.Marks.Trace ?? "" };
        // What was decided and not written down any more is on the board.
        bool isEnding = kept.Board.EndReason != EndReason.None && kept.State < LeaseState.Revoking;
        var lease = new Lease(kept.Epoch, slot, owner, request)
        {
            Buffers = kept.Buffers,
            State = isEnding ? LeaseState.Revoking : kept.State,
            Phase = ExportPhase.Done,
            Exported = kept.Exported,
            Files = kept.Marks.Files,
            IsKept = true,
            Fetched = kept.Marks.Fetched,
            TicketDeadline = kept.Marks.Fetched ? 0 : kept.Marks.TicketDeadline,
            GrantedAt = kept.Marks.GrantedAt,
            Ttl = kept.Ttl,
            TtlUnits = _clock.Units(kept.Ttl),
            HangLimit = kept.HangLimit ?? default,
            HangUnits = _clock.Units(kept.HangLimit ?? default),
            Terms = TermsOf(kept),
            LifeDeadline = kept.Marks.LifeDeadline,
            LifeNotice = kept.Marks.LifeNotice,
            RecallDeadline = kept.Marks.RecallDeadline,
            RecallReason = kept.RecallReason,
            RecallDetail = kept.RecallDetail,
            RecallAcknowledged = kept.RecallAcknowledged,
            EndReason = isEnding ? kept.Board.EndReason : kept.EndReason,
            EndDetail = kept.EndDetail,
            EndingAt = kept.Marks.EndingAt > 0 ? kept.Marks.EndingAt : now,
            RevokeAttempts = kept.RevokeAttempts,
            RevokeError = kept.RevokeError,
            StuckAt = kept.Marks.StuckAt > 0 ? kept.Marks.StuckAt : now,
            Escalations = [.. kept.Escalations.Select(e => new Escalation(e.Step, e.Outcome, e.Detail, now - _clock.Units(e.Age)))],
        };
        lease.TtlDeadline = kept.Board.TtlDeadline;
        lease.Progress = kept.Board.Progress;
        lease.ProgressAt = kept.Board.ProgressAt;
        lease.Place = kept.Board.Place;
        return lease;
    }

    /// <summary>The rule may have gone from the policy, or say something else by now: the lease goes on by what it was granted on.</summary>
    private LeaseTerms TermsOf(KeptLease kept)
    {
        PolicyRule? rule = kept.PolicyRule.Length == 0 ? null : _options.Rules?.FirstOrDefault(r => r.Name == kept.PolicyRule) ?? new PolicyRule(kept.PolicyRule, PolicyMatch.Everybody);
        return new LeaseTerms
        {
            Policy = _inherited ??= new LeasePolicy(_options),
            Rule = rule,
            Ttl = kept.Ttl,
            HangLimit = kept.HangLimit,
            MaxLifetime = kept.Marks.MaxLifetime,
            RecallGrace = kept.Marks.RecallGrace,
            Priority = kept.Priority,
            MayPreempt = rule?.Lease?.MayPreempt ?? false,
            MaxLeases = rule?.Lease?.MaxLeases ?? _options.MaxLeasesPerUid,
            MaxBytes = rule?.Lease?.MaxBytes ?? _options.MaxBytesPerUid,
        };
    }

    /// <summary>Takes the bytes; returns who has some of them already in a way that cannot be.</summary>
    private static Lease? TakeUp(Lease lease)
    {
        Lease? conflict = null;
        foreach (LeaseBuffer buffer in lease.Buffers)
        {
            foreach (BarRange range in buffer.Ranges)
            {
                conflict ??= lease.Slot.Bars[buffer.Bar]!.FindConflict(range, lease.IsReadOnly);
                lease.Slot.Bars[buffer.Bar]!.Take(range, lease, lease.IsReadOnly);
            }
        }

        return conflict;
    }

    /// <summary>Where it was, for everybody who looks.</summary>
    private void GoOn(Lease lease, long now)
    {
        ulong bytes = 0;
        foreach (LeaseBuffer buffer in lease.Buffers)
            bytes += buffer.Size;
        Enroll(lease, bytes);
        if (!lease.IsLive)
        {
            foreach (LeaseBuffer buffer in lease.Buffers)
            {
                foreach (BarRange range in buffer.Ranges)
                    lease.Slot.Bars[buffer.Bar]!.Quarantine(range, lease);
            }

            if (lease.State == LeaseState.Stuck)
                lease.Slot.StuckLeases++;
        }

        Requeue(lease);
        TellRecord(lease, now);
    }

    /// <summary>What has come while no broker ran, or was under way when the last one ended.</summary>
    private void CatchUp(Lease lease, long now)
    {
        if (lease.IsLive)
        {
            if (lease.Owner.Exited)
                EndLocked(lease, EndReason.ClientExited, $"process {lease.Owner.Owner.Pid} ({lease.Owner.Owner.Comm}) exited", now);
            else if (NextDue(lease).Due <= now)
                SweepLease(lease, now);
            return;
        }

        lease.RevokeDue = lease.State == LeaseState.Stuck ? Deadline.Never : now + _clock.Units(_options.RevokeTimeout);
        Requeue(lease);
        RequestProof(lease, now);
    }
}
