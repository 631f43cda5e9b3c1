// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

/// <content>What time does: deadlines, stalls of the broker, sleeps of the machine.</content>
internal sealed partial class ModelWorld
{
    private const int StepMs = 250;

    /// <summary>The machine has slept, and the sweep has not come yet: what is due is still there, and heartbeats are honoured.</summary>
    private bool _isBeforeSweep;

    private void PassTime(int steps)
    {
        for (int i = 0; i < steps; i++)
            Assert.False(Advance(StepMs), "a sweep in time was taken for a stall");
    }

    /// <summary>Up to the millisecond before the next deadline, when nothing may have ended yet, and then to it, when it must.</summary>
    private void PassToDeadline()
    {
        long next = _leases.Where(static l => l.Live).SelectMany(l => l.Deadlines(GraceUntil(l))).Select(static d => d.Due)
            .Concat(_waiters.Select(static w => w.Due)).DefaultIfEmpty(ModelLease.Never).Min();
        if (next - _now is < 2 or > 10_000)
            return;
        while (next - _now > StepMs)
            Advance(StepMs);
        if (next - _now > 1)
            Advance(next - _now - 1);
        int live = _leases.Count(static l => l.Live);
        int waiting = _waiters.Count;
        Advance(1);
        _tally.Count(OperationKind.PassToDeadline);
        if (_leases.Count(static l => l.Live) < live || _waiters.Count < waiting)
            _tally.Count(Deed.ExactDeadline);
    }

    private void Stall(long ms)
    {
        bool isArmed = IsArmed;
        Assert.True(Advance(ms) || !isArmed, "a stall was not noticed");
    }

    private bool IsArmed => _waiters.Count > 0 || _leases.Exists(static l => l.Live && l.Granted);

    /// <summary>
    /// The machine sleeps, and wakes up with its timers where they were. What waits in the sockets is read before the sweep, which comes at most a second later.
    /// </summary>
    private void Suspend(long ms, Operation op)
    {
        bool isArmed = IsArmed;
        long stalls = Manager.StallCount;
        _fixture.Time.Suspend(TimeSpan.FromMilliseconds(ms));
        _now += ms;
        _isBeforeSweep = true;
        if (_leases.Count > 0)
            Renew(_leases[op.B % _leases.Count], (ulong)op.C % 3);
        Reconcile();
        for (int i = 0; _isBeforeSweep && i < 5; i++)
        {
            _fixture.Time.Advance(TimeSpan.FromMilliseconds(StepMs));
            _now += StepMs;
            _isBeforeSweep = Manager.StallCount == stalls;
            AfterSweep(!_isBeforeSweep);
        }

        Assert.True(!_isBeforeSweep || !isArmed, "a sleep was not noticed");
        _tally.Count(OperationKind.Suspend);
        if (!_isBeforeSweep)
            _tally.Count(Deed.SuspendNoticed);
        _isBeforeSweep = false;
    }

    /// <summary>Returns whether the sweep came so late that there is a grace.</summary>
    private bool Advance(long ms)
    {
        long stalls = Manager.StallCount;
        _fixture.Time.Advance(TimeSpan.FromMilliseconds(ms));
        _now += ms;
        bool isStalled = Manager.StallCount > stalls;
        AfterSweep(isStalled);
        return isStalled;
    }

    private void AfterSweep(bool isStalled)
    {
        if (isStalled)
            _stalledAt = _now;
        if (!_isBeforeSweep)
            ExpectExpiries();
        Reconcile();
        PumpUnblocked();
        Reconcile();
    }

    private void ExpectExpiries()
    {
        ExpectPlannedCloses();
        ExpectEscalations();
        foreach (ModelLease lease in _leases.Where(static l => l.Live))
        {
            Announce(lease);
            long first = lease.Deadlines(GraceUntil(lease)).Min(static d => d.Due);
            foreach ((long due, EndReason reason) in lease.Deadlines(GraceUntil(lease)))
            {
                if (due == first && due <= _now)
                    lease.MustEnd(reason);
            }
        }
    }

    private long GraceUntil(ModelLease lease) => _stalledAt < 0 ? -1 : _stalledAt + Math.Min(lease.Ttl, 2000);
}
