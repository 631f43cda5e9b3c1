// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

/// <content>Leases whose end is not proven: that they are called stuck when they are, and what is done about it, each step once, when it is due, and written down.</content>
internal sealed partial class ModelWorld
{
    /// <summary>Between two attempts at a proof, or to open a device; with the step of time in which it may fall.</summary>
    private static readonly long LongestPause = (long)Options.RevokeRetryMax.TotalMilliseconds + StepMs;

    private static readonly EscalationStep[] EverySteps = [EscalationStep.Notify, EscalationStep.Cordon, EscalationStep.Kill, EscalationStep.Reset];

    private ModelKiller _killer = new();
    private int _kills;
    private int _killsTold;
    private int _answers;

    private LeaseOptions OptionsNow => _isStrict ? Strict : Options;

    /// <summary>After a sweep: what is due is taken. The end of the broker is no time for that.</summary>
    private void ExpectEscalations()
    {
        if (_shuttingDown)
            return;
        foreach (ModelLease lease in _leases.Where(static l => l.Stuck))
        {
            foreach (EscalationStep step in EverySteps)
            {
                if (!lease.Steps.ContainsKey(step) && PauseBefore(lease, step) is { } pause && lease.StuckAt + (long)pause.TotalMilliseconds <= _now)
                    lease.Steps[step] = Take(lease, step);
            }
        }
    }

    private TimeSpan? PauseBefore(ModelLease lease, EscalationStep step) => step switch
    {
        EscalationStep.Notify => OptionsNow.Escalation.Notify,
        // Where the thread of the device does not come back, nothing else can be done there either.
        EscalationStep.Cordon when lease.Unanswered && OptionsNow.Escalation.Cordon > OptionsNow.RevokeTimeout => OptionsNow.RevokeTimeout,
        EscalationStep.Cordon => OptionsNow.Escalation.Cordon,
        EscalationStep.Kill => OptionsNow.Escalation.Kill,
        _ => OptionsNow.Escalation.Reset,
    };

    private EscalationOutcome Take(ModelLease lease, EscalationStep step)
    {
        ModelDevice device = _devices[lease.Device];
        if (step == EscalationStep.Reset)
            lease.ResetAt = _now;
        switch (step)
        {
            case EscalationStep.Cordon:
                _tally.Count(Deed.StuckCordoned);
                device.Cordons.Add(CordonCause.Stuck);
                device.StuckCordonAt = _now;
                return EscalationOutcome.Done;
            // Only a process that is there, and has had the buffers, can hold on to them.
            case EscalationStep.Kill when !lease.Fetched || !_owners.Contains(lease.Owner):
                _tally.Count(Deed.KillForborne);
                return EscalationOutcome.Refused;
            case EscalationStep.Kill:
                _tally.Count(Deed.KillBegun);
                _kills++;
                return EscalationOutcome.Begun;
            // It is closed soon anyway.
            case EscalationStep.Reset when device.Plan is { IsReturn: true }:
                return EscalationOutcome.Refused;
            case EscalationStep.Reset:
                _tally.Count(Deed.StuckReset);
                ExpectClose(lease.Device, new ModelPlan(_now, EndReason.DeviceReset, IsReturn: false));
                return EscalationOutcome.Begun;
            default:
                return EscalationOutcome.Done;
        }
    }

    /// <summary>With the last one that is stuck the cordon goes.</summary>
    private void ExpectStuckUncordons()
    {
        for (int d = 0; d < DeviceCount; d++)
        {
            if (!_leases.Exists(l => l.Device == d && ToldLast(l.Id).State == LeaseState.Stuck) && _devices[d].Cordons.Remove(CordonCause.Stuck))
                _tally.Count(Deed.StuckUncordoned);
        }
    }

    private void AnswerKill(int index, int choice)
    {
        if (_killer.Open.Count == 0)
            return;
        var (owner, done) = _killer.Open[index % _killer.Open.Count];
        _killer.Open.RemoveAt(index % _killer.Open.Count);
        EscalationOutcome outcome = (choice % 3) switch { 0 => EscalationOutcome.Done, 1 => EscalationOutcome.Refused, _ => EscalationOutcome.Failed };
        _tally.Count(OperationKind.AnswerKill);
        string detail = $"answer {_answers++}";
        done(outcome, detail);
        // One lease has it, if it is still known.
        LeaseInfo[] answered = [.. Manager.List(Everything).Where(l => l.Escalations.Any(e => e.Detail == detail))];
        Assert.True(answered.Length <= 1);
        foreach (ModelLease lease in _leases.Where(l => Array.Exists(answered, a => a.Id == l.Id)))
        {
            Assert.Equal((owner, EscalationOutcome.Begun), (lease.Owner, lease.Steps[EscalationStep.Kill]));
            lease.Steps[EscalationStep.Kill] = outcome;
        }

        int killed = Array.IndexOf(_owners, owner);
        if (outcome == EscalationOutcome.Done && killed >= 0)
            OwnerExit(killed);
    }

    private void ObserveStuck(ModelLease lease, LeaseInfo info)
    {
        bool isNews = info.State == LeaseState.Stuck && !lease.Stuck;
        lease.Stuck = info.State == LeaseState.Stuck;
        lease.Unanswered = lease.Stuck && info.RevokeError.StartsWith("no answer", StringComparison.Ordinal);
        if (isNews)
        {
            lease.StuckAt = _now - (long)info.StuckFor!.Value.TotalMilliseconds;
            if (OptionsNow.Escalation.Notify == TimeSpan.Zero)
                lease.Steps[EscalationStep.Notify] = EscalationOutcome.Done;
            // Behind others that it answers it only waits its turn.
            Assert.True(!lease.Unanswered || lease.StuckAt >= DueAnswer(lease), $"{lease.Id} is called stuck, and its device has just answered");
            _tally.Count(lease.Unanswered ? Deed.Unanswered : Deed.ProofFailed);
        }

        if (lease.Stuck)
            Assert.Equal((lease.Id, lease.StuckAt), (lease.Id, _now - (long)info.StuckFor!.Value.TotalMilliseconds));
        Assert.True(
            lease.Stuck || lease.Live || info.State == LeaseState.Ended || _isBeforeSweep || _now < DueAnswer(lease) + StepMs,
            $"{lease.Id} is not proven to have ended, and not called stuck");
        if (lease.StuckAt < 0)
            Assert.Empty(info.Escalations);
        else
            CheckSteps(lease, info);
    }

    private long DueAnswer(ModelLease lease) => Math.Max(lease.DecidedAt, _devices[lease.Device].AnsweredAt) + (long)Options.RevokeTimeout.TotalMilliseconds;

    private void CheckSteps(ModelLease lease, LeaseInfo info)
    {
        // The same sweep has given the device back: whichever came first.
        if (lease.ResetAt == _now && _devices[lease.Device].ReturnedAt == _now && info.Escalations.FirstOrDefault(static e => e.Step == EscalationStep.Reset) is { } reset)
            lease.Steps[EscalationStep.Reset] = reset.Outcome == EscalationOutcome.Refused ? EscalationOutcome.Refused : EscalationOutcome.Begun;
        Assert.Equal((lease.Id, string.Join(" ", lease.Steps.Keys.Order())), (lease.Id, string.Join(" ", info.Escalations.Select(static e => e.Step).Order())));
        foreach (EscalationInfo taken in info.Escalations)
        {
            EscalationOutcome expected = lease.Steps[taken.Step];
            // What comes of a reset the device knows.
            if (taken.Step == EscalationStep.Reset && expected == EscalationOutcome.Begun)
                Assert.True(taken.Outcome != EscalationOutcome.Refused && (taken.Outcome != EscalationOutcome.Done || lease.Ended || info.State == LeaseState.Ended), $"{lease.Id}: {taken}");
            else
                Assert.Equal((lease.Id, taken.Step, expected), (lease.Id, taken.Step, taken.Outcome));
        }
    }

    private void CheckKills()
    {
        Assert.Equal((_kills, _kills), (_killer.Asked, _killsTold));
    }
}
