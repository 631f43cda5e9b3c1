// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

internal sealed partial class ModelWorld
{
    private const int StepMs = 250;

    private void Apply(Operation op)
    {
        int device = op.A % DeviceCount;
        switch (op.Kind)
        {
            case OperationKind.AcquireExplicit or OperationKind.AcquireSized:
                Acquire(op);
                break;
            case OperationKind.AcquireWaiting:
                AcquireWaiting(op);
                break;
            case OperationKind.CancelWait:
                if (_waiters.Count > 0)
                    CancelWait(_waiters[op.A % _waiters.Count]);
                break;
            case OperationKind.CancelAcquire:
                CancelAcquire(op);
                break;
            case OperationKind.PassTime:
                PassTime(1 + (op.A % 8));
                break;
            case OperationKind.Stall:
                Stall(2500 + (StepMs * (op.A % 40)));
                break;
            case OperationKind.OwnerExit:
                OwnerExit(op.A % OwnerCount);
                break;
            case OperationKind.PumpOne:
                _fixture.Executor(Name(device)).PumpOne();
                break;
            case OperationKind.BlockDevice or OperationKind.UnblockDevice:
                _blocked[device] = op.Kind == OperationKind.BlockDevice;
                break;
            case OperationKind.FailRevokes:
                _fixture.Devices[device].FailRevoke = true;
                break;
            case OperationKind.FailCloses:
                _fixture.Devices[device].FailClose = true;
                break;
            case OperationKind.FailOpens:
                _fixture.Devices[device].FailOpen = true;
                break;
            case OperationKind.FailExports:
                _fixture.Devices[device].ExportsUntilFailure = op.B % 3;
                break;
            case OperationKind.HealDevice:
                Heal(device);
                break;
            case OperationKind.LoseDevice:
                MustEndAll(device, EndReason.DeviceLost);
                _fixture.Devices[device].RaiseLost("unplugged");
                break;
            case OperationKind.ResetDevice:
                ResetDevice(device);
                break;
            case OperationKind.Cordon or OperationKind.Uncordon:
                _cordons[device] = op.Kind == OperationKind.Cordon ? "model" : null;
                _ = _cordons[device] is { } comment ? Manager.Cordon(Name(device), comment) : Manager.Uncordon(Name(device));
                break;
            case OperationKind.Interleave:
                Interleave(device, op);
                break;
            case OperationKind.Reload:
                Reload(apply: op.A % 2 == 0);
                break;
            case OperationKind.Shutdown or OperationKind.Crash:
                EndBroker(op.Kind == OperationKind.Shutdown);
                break;
            default:
                if (_leases.Count > 0)
                    ApplyToLease(op, _leases[op.A % _leases.Count]);
                break;
        }
    }

    private void ApplyToLease(Operation op, ModelLease lease)
    {
        switch (op.Kind)
        {
            case OperationKind.Redeem:
                Redeem(lease, lease.Owner.Uid);
                break;
            case OperationKind.RedeemAsAnother:
                Redeem(lease, 4711);
                break;
            case OperationKind.Renew or OperationKind.RenewWithProgress:
                Renew(lease, op.Kind == OperationKind.RenewWithProgress ? lease.Progress + 1 : lease.Progress);
                break;
            case OperationKind.RenewAsAnother:
                Assert.Equal(default, Manager.Renew(lease.Id, 4711, 1));
                break;
            case OperationKind.Release:
                lease.MustEnd(EndReason.Released);
                _ = Manager.ReleaseAsync(lease.Id, lease.Owner.Uid, CancellationToken.None);
                break;
            case OperationKind.ReleaseAsAnother:
                LeaseException e = Assert.ThrowsAny<LeaseException>(() => { _ = Manager.ReleaseAsync(lease.Id, 4711, CancellationToken.None); });
                Assert.Equal(LeaseError.NotFound, e.Error);
                break;
            case OperationKind.End:
                EndReason reason = op.B % 2 == 0 ? EndReason.Operator : EndReason.Preempted;
                lease.MustEnd(reason);
                Manager.End(lease.Id, reason, "model");
                break;
            case OperationKind.Recall:
                Recall(lease, StepMs * (1 + (op.B % 12)), op.C % 2 == 0 ? EndReason.Operator : EndReason.Policy);
                break;
        }
    }

    private void Acquire(Operation op)
    {
        LeaseOwner owner = _owners[op.A % OwnerCount];
        int device = op.A / OwnerCount % DeviceCount;
        string requestId = op.B % 5 == 0 ? $"r{op.B % 2}" : "";
        AcquireRequest request = MakeRequest(op, device, requestId);
        ModelLease? known = requestId.Length == 0 ? null : _leases.Find(l => l.Live && l.Owner == owner && l.RequestId == requestId);
        LeaseError? expected = TermsOf(owner).Refuses(device, NamesRanges(request)) ? LeaseError.Denied : known is null ? PredictRefusal(request, device, owner) : null;
        bool othersWait = Manager.Device(Name(device)).Waiting > 0;
        int told = _fixture.Told.Count;
        var cancel = new CancellationTokenSource();
        Task<Grant> task = Manager.AcquireAsync(request, owner, cancel.Token).AsTask();
        if (expected is not null || (known is null && othersWait && task.IsFaulted))
        {
            Assert.True(task.IsFaulted, $"not refused with {expected}");
            var refusal = Assert.IsType<LeaseException>(task.Exception!.InnerException);
            // Where others wait, what is free may be kept for them, and on a device of one user at a time the turn may be another's.
            Assert.True(refusal.Error == (expected ?? LeaseError.NoRoom) || (othersWait && refusal.Error == LeaseError.NoRoom), $"not {expected}: {refusal.Message}");
            return;
        }

        if (known is { Granted: true })
        {
            TakeTicket(known, LeaseFixture.Wait(task));
            return;
        }

        (known ?? Adopt(_fixture.Told[told], request, device, owner, TermsOf(owner), isExact: !othersWait)).Calls.Add(new PendingCall(task, cancel));
    }

    private static AcquireRequest MakeRequest(Operation op, int device, string requestId)
    {
        BufferRequest first;
        if (op.Kind == OperationKind.AcquireExplicit || (op.Kind == OperationKind.AcquireWaiting && op.C % 2 == 0))
        {
            ulong start = (ulong)(op.C % 16);
            ulong length = 1 + ((ulong)op.D % Math.Min(6, 16 - start));
            first = new BufferRequest(0, [new BarRange(start * Page, length * Page)]);
        }
        else
        {
            first = new BufferRequest(0, [], (ulong)(1 + (op.C % 7)) * Page, op.D % 3 == 0 ? Page << (op.D % 4) : 0, op.D % 4 == 1);
        }

        // A second buffer, in the other BAR.
        BufferRequest[] buffers = op.C % 9 == 0 ? [first, new BufferRequest(2, [], (ulong)(1 + (op.D % 9)) * Page)] : [first];
        return LeaseFixture.Request(buffers) with
        {
            Device = Name(device),
            Access = op.B % 3 == 0 ? BufferAccess.ReadOnly : BufferAccess.ReadWrite,
            Ttl = TimeSpan.FromMilliseconds(StepMs * (1 + (op.B % 100))),
            HangLimit = op.C % 4 == 0 ? TimeSpan.FromMilliseconds(StepMs * (4 + (op.D % 20))) : null,
            RequestId = requestId,
            Priority = op.D % 4,
        };
    }

    /// <summary>Compares the place that the manager chose with the rule, and takes the lease into the model.</summary>
    private ModelLease Adopt(LeaseInfo info, AcquireRequest request, int device, LeaseOwner owner, ModelTerms terms, bool isExact)
    {
        Assert.Equal(LeaseState.Granted, info.State);
        Assert.True(_everyId.Add(info.Id), $"{info.Id} was used before");
        Assert.True(info.Epoch > _lastEpoch, "epochs grow");
        _lastEpoch = info.Epoch;
        for (int i = 0; i < request.Buffers.Length; i++)
            CheckPlace(device, request.Buffers[i], info.Buffers[i], isExact);
        var lease = new ModelLease
        {
            Id = info.Id,
            Device = device,
            Owner = owner,
            Buffers = info.Buffers,
            Access = request.Access,
            RequestId = request.RequestId,
            Ttl = Math.Min((long)Math.Clamp(request.Ttl!.Value.TotalMilliseconds, Options.MinTtl.TotalMilliseconds, Options.MaxTtl.TotalMilliseconds), terms.Life),
            GrantedAt = _now,
            NamesRanges = NamesRanges(request),
            Grace = terms.Grace,
            Hang = (long)(request.HangLimit?.TotalMilliseconds ?? 0),
            Priority = Math.Clamp(request.Priority ?? 0, 0, LastPriority),
        };
        Assert.Equal(lease.Priority, info.Priority);
        Assert.Equal(lease.Ttl, info.Ttl.TotalMilliseconds);
        if (terms.Life != ModelLease.Never)
            SetEndOfLife(lease, _now + terms.Life);
        _leases.Add(lease);
        return lease;
    }

    private void CancelAcquire(Operation op)
    {
        ModelLease[] waiting = [.. _leases.Where(static l => l.Calls.Count > 0)];
        if (waiting.Length == 0)
            return;
        ModelLease lease = waiting[op.A % waiting.Length];
        PendingCall call = lease.Calls[op.B % lease.Calls.Count];
        lease.Calls.Remove(call);
        if (lease.Calls.Count == 0)
            lease.MustEnd(EndReason.Released);
        call.Cancel.Cancel();
        // The lease is given up before the caller hears of it.
        Assert.ThrowsAny<OperationCanceledException>(() => LeaseFixture.Wait(call.Task));
    }

    private void Redeem(ModelLease lease, uint uid)
    {
        bool known = lease.Granted && !lease.Fetched && !lease.Ticket.IsEmpty && uid == lease.Owner.Uid && lease.Decided != EndReason.TicketExpired;
        LeaseError? expected = !known ? LeaseError.NotFound : !lease.Live ? LeaseError.Ended : lease.TicketDeadline <= _now ? LeaseError.NotFound : null;
        if (expected is { } error)
        {
            Assert.Equal(error, Assert.Throws<LeaseException>(() => Manager.Redeem(lease.Ticket.Span, uid)).Error);
            return;
        }

        Redemption redemption = Manager.Redeem(lease.Ticket.Span, uid);
        Assert.Equal(lease.Buffers.Length, redemption.Buffers.Length);
        lease.Fetched = true;
        lease.TtlDeadline = _now + lease.Ttl;
        lease.ProgressAt = _now;
        if (lease.State == LeaseState.Granted)
            lease.State = LeaseState.Active;
    }

    private void Renew(ModelLease lease, ulong progress)
    {
        Renewal renewal = Manager.Renew(lease.Id, lease.Owner.Uid, progress);
        if (!lease.Live)
        {
            Assert.Equal((TimeSpan.Zero, lease.Decided), (renewal.Remaining, renewal.EndReason));
            Assert.True(renewal.State >= LeaseState.Revoking, "an ended lease was renewed");
            return;
        }

        lease.TtlDeadline = _now + lease.Ttl;
        if (progress != lease.Progress)
            lease.ProgressAt = _now;
        lease.Progress = progress;
        Assert.Equal(new Renewal(TimeSpan.FromMilliseconds(Math.Max(0, Math.Min(lease.Ttl, Math.Min(lease.RecallDeadline, lease.LifeDeadline) - _now))), lease.State, EndReason.None), renewal);
    }

    private void Recall(ModelLease lease, long grace, EndReason reason)
    {
        Manager.Recall(lease.Id, TimeSpan.FromMilliseconds(grace), reason, "model");
        ExpectRecall(lease, grace, reason);
    }

    private void ExpectRecall(ModelLease lease, long grace, EndReason reason)
    {
        if (!lease.Live || _now + grace >= lease.RecallDeadline)
            return;
        lease.RecallDeadline = _now + grace;
        lease.RecallReason = reason;
        lease.State = LeaseState.Recalled;
    }

    private void OwnerExit(int index)
    {
        LeaseOwner owner = _owners[index];
        foreach (ModelLease lease in _leases.Where(l => l.Owner == owner))
            lease.MustEnd(EndReason.ClientExited);
        foreach (ModelWaiter waiter in _waiters.Where(w => w.Owner == owner))
            waiter.MayBeRefused = true;
        Manager.OwnerExited(owner);
        Task<Grant> late = Manager.AcquireAsync(LeaseFixture.Sized(Page), owner, CancellationToken.None).AsTask();
        Assert.Equal(LeaseError.Denied, Assert.ThrowsAny<LeaseException>(() => LeaseFixture.Wait(late)).Error);
        ReplaceOwner(index);
    }

    private void PassTime(int steps)
    {
        for (int i = 0; i < steps; i++)
            Assert.False(Advance(StepMs), "a sweep in time was taken for a stall");
    }

    private void Stall(long ms)
    {
        bool armed = _leases.Exists(static l => l.Live && l.Granted);
        Assert.True(Advance(ms) || !armed, "a stall was not noticed");
    }

    /// <summary>Returns whether the sweep came so late that there is a grace.</summary>
    private bool Advance(long ms)
    {
        long stalls = Manager.StallCount;
        _fixture.Time.Advance(TimeSpan.FromMilliseconds(ms));
        _now += ms;
        bool stalled = Manager.StallCount > stalls;
        if (stalled)
            _stalledAt = _now;
        ExpectExpiries();
        Reconcile();
        PumpUnblocked();
        Reconcile();
        return stalled;
    }

    private void ExpectExpiries()
    {
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

    private void Heal(int device)
    {
        FakeDevice fake = _fixture.Devices[device];
        fake.FailRevoke = fake.FailClose = fake.FailOpen = false;
        fake.ExportsUntilFailure = null;
        fake.OnCall = null;
    }

    private void ResetDevice(int device)
    {
        if (_shuttingDown)
        {
            Assert.Throws<LeaseException>(() => { _ = Manager.ResetDeviceAsync(Name(device), "", CancellationToken.None); });
            return;
        }

        MustEndAll(device, EndReason.DeviceReset);
        _resets.Add(Manager.ResetDeviceAsync(Name(device), "by an operator", CancellationToken.None));
    }

    private void MustEndAll(int device, EndReason reason)
    {
        foreach (ModelLease lease in _leases.Where(l => l.Device == device))
            lease.MustEnd(reason);
    }

    /// <summary>Lets something happen while the device is in its next call.</summary>
    private void Interleave(int device, Operation op)
    {
        OperationKind[] kinds =
        [
            OperationKind.End, OperationKind.Release, OperationKind.OwnerExit, OperationKind.LoseDevice, OperationKind.AcquireSized,
            OperationKind.PassTime, OperationKind.ResetDevice, OperationKind.CancelAcquire, OperationKind.Redeem, OperationKind.Stall, OperationKind.Reload, OperationKind.AcquireWaiting, OperationKind.CancelWait,
        ];
        Operation inner = op with { Kind = kinds[op.B % kinds.Length], A = op.C };
        FakeDevice fake = _fixture.Devices[device];
        fake.OnCall = _ =>
        {
            fake.OnCall = null;
            if (_depth > 0)
                return;
            _depth++;
            try
            {
                Reconcile();
                Apply(inner);
                Reconcile();
            }
            catch (Exception e)
            {
                _failureInside ??= e;
            }
            finally
            {
                _depth--;
            }
        };
    }

    private void EndBroker(bool orderly)
    {
        // Not from inside of a device call: its own thread does not end a broker.
        Assert.Equal(0, _depth);
        if (orderly)
        {
            _shuttingDown = true;
            for (int d = 0; d < DeviceCount; d++)
                MustEndAll(d, EndReason.BrokerShutdown);
            Task shutdown = Manager.ShutdownAsync(CancellationToken.None);
            PumpUnblocked();
            Reconcile();
            CheckInvariants();
            bool answers = Enumerable.Range(0, DeviceCount).All(d => !_blocked[d] && !_fixture.Devices[d].FailClose);
            Assert.Equal(answers, _fixture.Devices.All(static d => d.Accessible.IsEmpty) && _leases.TrueForAll(static l => l.Ended) && shutdown.Wait(answers ? 20_000 : 0));
        }

        List<ModelLease> before = [.. _leases];
        foreach (FakeDevice device in _fixture.Devices)
            Assert.Empty(device.Violations);
        Dispose();
        _resets.Clear();
        Restart();
        foreach (ModelLease lease in before)
            Assert.Equal(default, Manager.Renew(lease.Id, lease.Owner.Uid, 1));
    }
}
