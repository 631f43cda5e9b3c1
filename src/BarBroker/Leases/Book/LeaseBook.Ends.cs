// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;

namespace BarBroker.Leases;

internal sealed partial class LeaseBook
{
    public LeaseInfo End(string leaseId, uint? uid, EndReason reason, string detail)
    {
        using Transition _ = Enter();
        Lease lease = Find(leaseId, uid);
        long now = _clock.Now;
        EndLocked(lease, reason, detail, now);
        return lease.ToInfo(_clock, now);
    }

    /// <summary>Ends the lease if a reason is given, and completes when it is Ended or Stuck.</summary>
    public Task<LeaseInfo> EndAndWait(string leaseId, uint? uid, EndReason reason, string detail)
    {
        using Transition _ = Enter();
        Lease lease = Find(leaseId, uid);
        long now = _clock.Now;
        if (reason != EndReason.None)
            EndLocked(lease, reason, detail, now);
        if (lease.State is LeaseState.Ended or LeaseState.Stuck)
            return Task.FromResult(lease.ToInfo(_clock, now));
        lease.EndWaiter ??= new TaskCompletionSource<LeaseInfo>(TaskCreationOptions.RunContinuationsAsynchronously);
        return lease.EndWaiter.Task;
    }

    public LeaseInfo Recall(string leaseId, TimeSpan grace, EndReason reason, string detail)
    {
        using Transition _ = Enter();
        Lease lease = Find(leaseId, null);
        long now = _clock.Now;
        RecallLocked(lease, grace, reason, detail, now);
        return lease.ToInfo(_clock, now);
    }

    /// <summary>The client knows that the lease is recalled. Nothing to do for one that is not, any more or yet.</summary>
    public LeaseInfo AcknowledgeRecall(string leaseId, uint uid)
    {
        using Transition _ = Enter();
        Lease lease = Find(leaseId, uid);
        long now = _clock.Now;
        if (lease.State == LeaseState.Recalled && !lease.RecallAcknowledged)
        {
            lease.RecallAcknowledged = true;
            Tell(lease, now);
        }

        return lease.ToInfo(_clock, now);
    }

    public void OwnerExited(LeaseOwner owner)
    {
        using Transition _ = Enter();
        OwnerRecord record = _owners.GetValue(owner, static o => new OwnerRecord(o));
        record.Exited = true;
        long now = _clock.Now;
        foreach (Waiter waiter in record.Waiters.ToArray())
            Refuse(waiter, new LeaseException(LeaseError.Denied, $"process {owner.Pid} ({owner.Comm}) has exited; nothing is granted to it"), WaitOutcome.Cancelled);
        foreach (Lease lease in record.Leases.ToArray())
        {
            EndLocked(lease, EndReason.ClientExited, $"process {owner.Pid} ({owner.Comm}) exited", now);
            RetryAtOnce(lease, now);
        }
    }

    /// <summary>On the device thread: an attempt failed. <paramref name="remaining"/> may still be accessible.</summary>
    public void RevokeFailed(Lease lease, ImmutableArray<ExportedBuffer> remaining, string error)
    {
        using Transition _ = Enter();
        lease.Exported = remaining;
        Fail(lease, error, _clock.Now);
        // A device that is to be closed by now takes its leases with it.
        if (!lease.Slot.NeedsClose)
            lease.RevokeDue = _clock.Now + Backoff(lease.RevokeAttempts, lease.Epoch);
        Requeue(lease);
    }

    /// <summary>Without a grace, ends it. False if it has an end that is as soon.</summary>
    private bool RecallLocked(Lease lease, TimeSpan grace, EndReason reason, string detail, long now)
    {
        if (grace <= TimeSpan.Zero)
            return EndLocked(lease, reason, detail, now);
        long due = now + _clock.Units(grace);
        if (!lease.IsLive || due >= lease.RecallDeadline)
            return false;
        lease.RecallDeadline = due;
        lease.RecallReason = reason;
        lease.RecallDetail = detail;
        SetState(lease, LeaseState.Recalled);
        Requeue(lease);
        Tell(lease, now);
        // Who waits may have the place now without taking anything from anybody.
        Wake(lease.Slot);
        return true;
    }

    /// <summary>The one place where an end is decided. The first reason wins; false if there was one.</summary>
    private bool EndLocked(Lease lease, EndReason reason, string detail, long now)
    {
        if (!lease.IsLive)
            return false;
        lease.EndReason = reason;
        lease.EndDetail = detail;
        lease.EndingAt = now;
        lease.Place?.End(reason);
        lease.Slot.LiveLeases--;
        lease.Owner.ForgetRequestId(lease);
        FailPending(lease);
        if (lease.Phase == ExportPhase.Queued)
        {
            Finish(lease, now);
            CloseIfLeft(lease.Slot, now);
            return true;
        }

        SetState(lease, LeaseState.Revoking);
        foreach (LeaseBuffer buffer in lease.Buffers)
        {
            foreach (BarRange range in buffer.Ranges)
                lease.Slot.Bars[buffer.Bar]!.Quarantine(range, lease);
        }

        lease.RevokeDue = now + _clock.Units(_options.RevokeTimeout);
        Requeue(lease);
        Tell(lease, now);
        if (lease.Phase == ExportPhase.Done)
            RequestProof(lease, now);
        CloseIfLeft(lease.Slot, now);
        return true;
    }

    private void FailPending(Lease lease)
    {
        if (lease.Pending is null && lease.Recipients is null)
            return;
        LeaseException refusal = lease.EndReason is EndReason.DeviceLost or EndReason.DeviceReset or EndReason.BrokerShutdown
            ? Unavailable(lease.Slot.Name, $"device {lease.Slot.Name} is not available: {lease.EndDetail}")
            : Ended(lease);
        Fail(lease, refusal);
    }

    private void Fail(Claim claim, LeaseException refusal)
    {
        _metrics.Refused(refusal);
        foreach (IAcquireRecipient recipient in claim.Recipients ?? [])
            _observers.Add(() => recipient.Refuse(refusal));
        claim.Recipients = null;
        if (claim.Pending is { } pending)
            _observers.Add(() => pending.TrySetException(refusal));
        claim.Pending = null;
    }

    /// <summary>Queues what will prove that access to an exported lease is over.</summary>
    private void RequestProof(Lease lease, long now)
    {
        DeviceSlot slot = lease.Slot;
        if (slot.NeedsClose)
            return;
        if (slot.Description!.Domain == RevocationDomain.Selective)
        {
            slot.Executor.Post(new DeviceCommand(DeviceCommandKind.Revoke, lease));
            return;
        }

        slot.NeedsClose = true;
        slot.RecycleCause = $"the device was closed to revoke lease {lease.Id}";
        EndExported(slot, slot.RecycleCause, now);
        PostRecycle(slot);
    }

    private void Fail(Lease lease, string error, long now)
    {
        // An attempt that was counted when it did not answer in time is not counted again when it does.
        if (!lease.Unanswered)
            CountFailure(lease);
        lease.Unanswered = false;
        lease.RevokeError = error;
        lease.RevokeDue = Deadline.Never;
        Stick(lease, now);
    }

    private void CountFailure(Lease lease)
    {
        lease.RevokeAttempts++;
        _metrics.RevokeFailed(lease.Slot.Name);
    }

    private void Stick(Lease lease, long now)
    {
        BecomeStuck(lease, now);
        MoveFrom(lease);
        CompleteEndWaiter(lease, now);
        Tell(lease, now);
        Requeue(lease);
    }

    /// <summary>Access is over, proven: the ranges are free.</summary>
    private void Finish(Lease lease, long now)
    {
        bool quarantined = !lease.IsLive;
        foreach (LeaseBuffer buffer in lease.Buffers)
        {
            foreach (BarRange range in buffer.Ranges)
                lease.Slot.Bars[buffer.Bar]!.Release(range, lease, quarantined);
        }

        bool wasStuck = lease.State == LeaseState.Stuck;
        SetState(lease, LeaseState.Ended);
        _countByState[(int)LeaseState.Ended]--;
        lease.Exported = [];
        lease.Slot.Leases.Remove(lease);
        if (wasStuck)
            Unstick(lease.Slot);
        Wake(lease.Slot);
        lease.Owner.Leases.Remove(lease);
        ReturnQuota(lease);
        _deadlines.Set(lease, Deadline.Never);
        _endedCount++;
        lease.Place?.Free();
        _metrics.Ended(lease.Slot.Name, lease.EndReason, quarantined ? _clock.Span(now - lease.EndingAt) : null);
        CompleteEndWaiter(lease, now);
        Tell(lease, now);
        Remember(lease);
    }

    private void ReturnQuota(Lease lease)
    {
        uint uid = lease.Owner.Owner.Uid;
        UidAccount account = _accounts[uid];
        account.Bytes -= lease.Bytes;
        account.Leases--;
        if (account.Waiting > 0)
            WakeAll();
        Settle(uid);
    }

    private UidAccount Account(uint uid)
    {
        if (!_accounts.TryGetValue(uid, out UidAccount? account))
            _accounts[uid] = account = new UidAccount();
        return account;
    }

    /// <summary>Nothing is remembered of a uid that has nothing.</summary>
    private void Settle(uint uid)
    {
        if (_accounts[uid] is { Leases: 0, Waiting: 0 })
            _accounts.Remove(uid);
    }

    private void Remember(Lease lease)
    {
        _ended.Enqueue(lease);
        while (_ended.Count > _options.EndedLeasesKept)
        {
            Lease oldest = _ended.Dequeue();
            _byId.Remove(oldest.Id);
            _tickets.Drop(oldest);
        }
    }

    /// <summary>Whoever waits for the end hears of it before the observers do.</summary>
    private void CompleteEndWaiter(Lease lease, long now)
    {
        if (lease.EndWaiter is not { } waiter)
            return;
        lease.EndWaiter = null;
        LeaseInfo info = lease.ToInfo(_clock, now);
        _observers.Add(() => waiter.TrySetResult(info));
    }

    /// <summary>
    /// Doubles from attempt to attempt, give or take a quarter so that many leases do not come back at once. The spread is taken from the epoch, not from
    /// chance, so that a history can be repeated.
    /// </summary>
    private long Backoff(int attempt, ulong salt)
    {
        double doubled = _options.RevokeRetryMin.Ticks * Math.Pow(2, Math.Min(attempt - 1, 30));
        uint spread = unchecked((uint)(((salt + 1) * 2654435761UL) + ((ulong)attempt * 40503UL)) % 1024);
        double jittered = Math.Min(doubled, _options.RevokeRetryMax.Ticks) * (0.75 + (spread / 2048.0));
        return _clock.Units(TimeSpan.FromTicks((long)Math.Min(jittered, _options.RevokeRetryMax.Ticks)));
    }
}
