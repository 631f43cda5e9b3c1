// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;

namespace BarBroker.Leases;

internal sealed partial class LeaseBook
{
    private static readonly EscalationStep[] Steps = [EscalationStep.Notify, EscalationStep.Cordon, EscalationStep.Kill, EscalationStep.Reset];

    /// <summary>Without one, no client is killed. To be set before the start.</summary>
    public IClientKiller? Killer { get; set; }

    /// <summary>From any thread: what came of a kill. Recorded also where the lease has ended since.</summary>
    private void KillAnswered(Lease lease, EscalationOutcome outcome, string detail)
    {
        using Transition _ = Enter();
        Record(lease, EscalationStep.Kill, outcome, detail, _clock.Now);
    }

    private bool IsStuck(Lease lease)
    {
        lock (_lock)
            return lease.State == LeaseState.Stuck && !_shuttingDown;
    }

    /// <summary>When the next step is due, of those that were not taken yet. The end of the broker is no time for any.</summary>
    private long EscalationDue(Lease lease)
    {
        long due = Deadline.Never;
        if (lease.State != LeaseState.Stuck || _shuttingDown)
            return due;
        foreach (EscalationStep step in Steps)
        {
            if (PauseBefore(lease, step) is { } pause && !lease.HasTaken(step))
                due = Math.Min(due, lease.StuckAt + _clock.Units(pause));
        }

        return due;
    }

    private TimeSpan? PauseBefore(Lease lease, EscalationStep step)
    {
        EscalationOptions options = _options.Escalation;
        return step switch
        {
            EscalationStep.Notify => options.Notify,
            // The device's own thread is in the kernel, still: whatever is acquired there waits behind it.
            EscalationStep.Cordon when lease.Unanswered && options.Cordon > _options.RevokeTimeout => _options.RevokeTimeout,
            EscalationStep.Cordon => options.Cordon,
            EscalationStep.Kill => options.Kill,
            _ => options.Reset,
        };
    }

    /// <summary>Takes every step that is due, the mildest first.</summary>
    private void Escalate(Lease lease, long now)
    {
        foreach (EscalationStep step in Steps)
        {
            if (_shuttingDown || lease.State != LeaseState.Stuck || lease.HasTaken(step) || PauseBefore(lease, step) is not { } pause || lease.StuckAt + _clock.Units(pause) > now)
                continue;
            switch (step)
            {
                case EscalationStep.Notify:
                    Record(lease, step, EscalationOutcome.Done, "", now);
                    break;
                case EscalationStep.Cordon:
                    CordonFor(lease.Slot, CordonCause.Stuck, $"lease {lease.Id} of {lease.Owner.Owner.Comm} (process {lease.Owner.Owner.Pid}): {lease.RevokeError}");
                    Record(lease, step, EscalationOutcome.Done, "", now);
                    break;
                case EscalationStep.Kill:
                    BeginKill(lease, now);
                    break;
                case EscalationStep.Reset:
                    BeginReset(lease, now);
                    break;
            }
        }
    }

    private void BeginKill(Lease lease, long now)
    {
        LeaseOwner owner = lease.Owner.Owner;
        string? refusal = lease.Owner.Exited ? $"process {owner.Pid} has ended; another process or a driver holds on"
            : !lease.Fetched ? $"process {owner.Pid} has not fetched the buffers; it cannot hold on to them"
            : Killer is null ? "this broker kills no clients"
            : null;
        Record(lease, EscalationStep.Kill, refusal is null ? EscalationOutcome.Begun : EscalationOutcome.Refused, refusal ?? $"looking at what process {owner.Pid} holds", now);
        if (refusal is not null || Killer is not { } killer)
            return;
        ImmutableArray<ExportedBuffer> buffers = lease.Exported;
        _observers.Add(() => killer.Kill(owner, buffers, () => IsStuck(lease), (outcome, detail) => KillAnswered(lease, outcome, detail)));
    }

    /// <summary>Without a grace for the others: the device is stuck for them, too.</summary>
    private void BeginReset(Lease lease, long now)
    {
        DeviceSlot slot = lease.Slot;
        if (slot.Planned is { IsReturn: true })
        {
            Record(lease, EscalationStep.Reset, EscalationOutcome.Refused, $"the device is {slot.Detail}", now);
            return;
        }

        int others = slot.Leases.Count - 1;
        Record(lease, EscalationStep.Reset, EscalationOutcome.Begun, others == 0 ? "" : $"{others} other {(others == 1 ? "lease ends" : "leases end")} by it", now);
        slot.ResetFor.Add(lease);
        slot.ResetWanted = true;
        PlanClose(slot, new PlannedClose(EndReason.DeviceReset, $"lease {lease.Id} was stuck for {_clock.Span(now - lease.StuckAt).TotalSeconds:0} s", now, IsReturn: false), now);
    }

    /// <summary>What came of the resets that stuck leases were the cause of. One that failed is tried again, with the device.</summary>
    private void ResetAnswered(DeviceSlot slot, EscalationOutcome outcome, string detail, long now)
    {
        foreach (Lease lease in slot.ResetFor)
            Record(lease, EscalationStep.Reset, outcome, detail, now);
        if (outcome == EscalationOutcome.Done)
            slot.ResetFor.Clear();
    }

    /// <summary>Writes down a step, or what came of it, once, and tells of it while the lease is stuck: its end is told once, and what is known only then is there to be read.</summary>
    private void Record(Lease lease, EscalationStep step, EscalationOutcome outcome, string detail, long now)
    {
        if (lease.Escalations.Any(e => e.Step == step && e.Outcome == outcome && e.Detail == detail))
            return;
        var taken = new Escalation(step, outcome, detail, now);
        lease.Escalations = [.. lease.Escalations.Where(e => e.Step != step), taken];
        _metrics.Escalated(step, outcome);
        if (_observers.HasObservers && lease.State == LeaseState.Stuck)
            _observers.Add(lease.ToInfo(_clock, now) with { Escalated = taken.ToInfo(_clock, now) });
    }

    /// <summary>An operator took the cordon away, and knows of these leases: they do not bring it back.</summary>
    private void SkipCordons(DeviceSlot slot, long now)
    {
        foreach (Lease lease in slot.Leases.Where(static l => l.State == LeaseState.Stuck && !l.HasTaken(EscalationStep.Cordon)))
            Record(lease, EscalationStep.Cordon, EscalationOutcome.Refused, "an operator uncordoned the device", now);
    }

    /// <summary>The first failure, or the first that did not answer in time.</summary>
    private void BecomeStuck(Lease lease, long now)
    {
        if (lease.State == LeaseState.Stuck)
            return;
        lease.StuckAt = now;
        lease.Slot.StuckLeases++;
        SetState(lease, LeaseState.Stuck);
        if (_options.Escalation.Notify == TimeSpan.Zero)
        {
            // Told with the state itself.
            lease.Escalations = [new Escalation(EscalationStep.Notify, EscalationOutcome.Done, "", now)];
            _metrics.Escalated(EscalationStep.Notify, EscalationOutcome.Done);
        }
    }

    private void Unstick(DeviceSlot slot)
    {
        if (--slot.StuckLeases == 0)
            UncordonFor(slot, CordonCause.Stuck);
    }

    /// <summary>Its files are closed by now (do_exit in kernel/exit.c): what held on may have gone with it, so the next attempt is not waited for.</summary>
    private void RetryAtOnce(Lease lease, long now)
    {
        if (lease.State != LeaseState.Stuck || lease.RevokeDue == Deadline.Never)
            return;
        lease.RevokeDue = now;
        Requeue(lease);
    }
}
