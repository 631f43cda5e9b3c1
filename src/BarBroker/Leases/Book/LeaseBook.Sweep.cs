// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

internal sealed partial class LeaseBook
{
    /// <summary>The most that a lease gets on top after a stall, if its TTL is not shorter.</summary>
    public static readonly TimeSpan StallGrace = TimeSpan.FromSeconds(2);

    private long _stalledAt = long.MinValue;
    private long _stalls;

    /// <summary>A sweep is between two of its parts; what is due is its own.</summary>
    private bool _isSweeping;

    /// <summary>How often the sweep came so late that a grace was given.</summary>
    public long StallCount => Interlocked.Read(ref _stalls);

    /// <summary>What time has brought: TTLs, hang limits, tickets, recalls, revokes that do not answer, attempts to make again.</summary>
    private void Sweep(bool stalled)
    {
        if (stalled)
            Interlocked.Increment(ref _stalls);
        for (int part = 0; SweepSome(part, stalled); part++)
            LetOthersIn();
    }

    /// <summary>True if there is more.</summary>
    private bool SweepSome(int part, bool stalled)
    {
        // That devices have something to do comes first; the books may be a moment behind.
        using Transition _ = Enter(mostProofs: part == 0 ? BurstSize : 0);
        long now = _clock.Now;
        if (stalled && part == 0)
            _stalledAt = now;
        int leases = 0;
        int i = 0;
        for (; i < BurstSize && _deadlines.Earliest is { } entry && entry.QueuedDue <= now; i++)
        {
            if (entry is Lease lease)
            {
                leases++;
                SweepLease(lease, now);
            }
            else if (entry is DeviceSlot { Planned: not null } leaving)
                CloseAsPlanned(leaving, now);
            else if (entry is DeviceSlot slot)
                PostRecycle(slot);
            else if (entry is Waiter waiter)
                TimeOut(waiter, now);
        }

        _isSweeping = i == BurstSize;
        _isBurst = part > 0 || leases >= Many;
        return _isSweeping;
    }

    private void SweepLease(Lease lease, long now)
    {
        if (lease.IsProven)
        {
            // Only the books have not heard of it.
            _deadlines.Set(lease, Deadline.Never);
            return;
        }

        (long due, EndReason reason) = NextDue(lease);
        if (due > now)
        {
            // A heartbeat moved it since it was queued.
            _deadlines.Set(lease, due);
            return;
        }

        switch (lease.State)
        {
            case LeaseState.Revoking:
                CountFailure(lease);
                lease.Unanswered = true;
                lease.RevokeError = $"no answer for {_options.RevokeTimeout.TotalSeconds} s; still waiting for it";
                lease.RevokeDue = Deadline.Never;
                Stick(lease, now);
                break;
            case LeaseState.Stuck:
                SweepStuck(lease, now);
                break;
            case var _ when reason == EndReason.None:
                AnnounceEndOfLife(lease, now);
                break;
            default:
                string detail = reason == lease.RecallReason && due == lease.RecallDeadline ? lease.RecallDetail : Explain(lease, reason);
                _metrics.ExpiredLate(_clock.Span(now - due));
                EndLocked(lease, reason, detail, now);
                break;
        }
    }

    private void SweepStuck(Lease lease, long now)
    {
        bool isRetryDue = lease.RevokeDue <= now;
        if (isRetryDue)
            lease.RevokeDue = Deadline.Never;
        Escalate(lease, now);
        Requeue(lease);
        if (isRetryDue)
            RequestProof(lease, now);
    }

    private string Explain(Lease lease, EndReason reason) => reason switch
    {
        EndReason.Expired => $"no heartbeat within the TTL of {lease.Ttl.TotalSeconds} s",
        EndReason.ClientHung => $"no new progress within the hang limit of {lease.HangLimit.TotalSeconds} s",
        EndReason.Policy => $"policy rule {lease.Terms.RuleName}: its maximum lifetime of {lease.Terms.MaxLifetime?.TotalSeconds} s is over",
        EndReason.TicketExpired => $"the ticket was not shown within {_options.TicketTtl.TotalSeconds} s",
        _ => "",
    };

    private void AnnounceEndOfLife(Lease lease, long now)
    {
        lease.LifeNotice = Deadline.Never;
        // Where the end itself has come, too, the sweep goes on with whatever comes first.
        if (lease.LifeDeadline > now)
            RecallLocked(lease, _clock.Span(lease.LifeDeadline - now), EndReason.Policy, Explain(lease, EndReason.Policy), now);
        Requeue(lease);
    }

    /// <summary>When the lease must be looked at, and, for a live one, what it then ends with; None: its end is to be announced.</summary>
    private (long Due, EndReason Reason) NextDue(Lease lease)
    {
        if (!lease.IsLive)
            return (ProofDue(lease), lease.EndReason);
        (long Due, EndReason Reason) next = (lease.RecallDeadline, lease.RecallReason);
        // No grace and no renewal moves these.
        Consider(lease.LifeDeadline, EndReason.Policy);
        Consider(lease.LifeNotice, EndReason.None);
        // While the device works on the export the client has nothing that it could keep alive.
        if (lease.Phase != ExportPhase.Done)
            return next;
        // The one grace after a stall: heartbeats that wait in the sockets are read in that time.
        long floor = _stalledAt == long.MinValue ? long.MinValue : _stalledAt + Math.Min(lease.TtlUnits, _clock.Units(StallGrace));
        Consider(Math.Max(lease.TtlDeadline, floor), EndReason.Expired);
        if (!lease.Fetched)
            Consider(lease.TicketDeadline, EndReason.TicketExpired);
        else if (lease.HangUnits > 0)
            Consider(Math.Max(lease.ProgressAt + lease.HangUnits, floor), EndReason.ClientHung);
        return next;

        void Consider(long due, EndReason reason)
        {
            if (due < next.Due)
                next = (due, reason);
        }
    }

    /// <summary>When something must be done about the proof of a lease that was ended.</summary>
    private long ProofDue(Lease lease) => lease.State switch
    {
        LeaseState.Ended => Deadline.Never,
        LeaseState.Revoking => Math.Max(lease.RevokeDue, lease.Slot.AnsweredAt + _clock.Units(_options.RevokeTimeout)),
        _ => Math.Min(lease.RevokeDue, EscalationDue(lease)),
    };

    private void Requeue(Lease lease) => _deadlines.Set(lease, NextDue(lease).Due);
}
