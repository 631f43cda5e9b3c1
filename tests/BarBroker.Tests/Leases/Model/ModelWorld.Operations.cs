// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

internal sealed partial class ModelWorld
{
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
                    CancelWait(_waiters[op.A % _waiters.Count], op.B);
                break;
            case OperationKind.CancelAcquire:
                CancelAcquire(op);
                break;
            case OperationKind.PassTime:
                PassTime(1 + (op.A % 8));
                break;
            case OperationKind.PassToDeadline:
                PassToDeadline();
                break;
            case OperationKind.Suspend:
                Suspend(2500 + (StepMs * (op.A % 40)), op);
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
                _devices[device].IsBlocked = op.Kind == OperationKind.BlockDevice;
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
            case OperationKind.FailFills:
                _fixture.Devices[device].FailFill = true;
                break;
            case OperationKind.FailResets:
                _fixture.Devices[device].FailReset = true;
                break;
            case OperationKind.RequestDevice:
                Signal(device, DeviceSignal.Requested);
                break;
            case OperationKind.FailDevice:
                Signal(device, DeviceSignal.Failed);
                break;
            case OperationKind.LoseDevice:
                Signal(device, DeviceSignal.Vanished);
                break;
            case OperationKind.LookForDevices:
                LookForDevices();
                break;
            case OperationKind.ResetDevice:
                ResetDevice(device, 0);
                break;
            case OperationKind.ResetWithGrace:
                ResetDevice(device, StepMs * (1 + (op.B % 16)));
                break;
            case OperationKind.AnswerKill:
                AnswerKill(op.A, op.B);
                break;
            case OperationKind.Cordon:
                Cordon(device);
                break;
            case OperationKind.Uncordon:
                Uncordon(device);
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
                if (_leases.Count == 0)
                    return;
                ApplyToLease(op, _leases[op.A % _leases.Count]);
                break;
        }

        // These count themselves where they find something to do.
        if (op.Kind is not (OperationKind.CancelAcquire or OperationKind.CancelWait or OperationKind.PassToDeadline or OperationKind.AbandonDelivery or OperationKind.Acknowledge or OperationKind.Suspend or OperationKind.AnswerKill))
            _tally.Count(op.Kind);
    }

    private void ApplyToLease(Operation op, ModelLease lease)
    {
        switch (op.Kind)
        {
            case OperationKind.Redeem:
                RedeemOldTickets(lease);
                Redeem(lease, lease.Owner.Uid);
                break;
            case OperationKind.RedeemAsAnother:
                Redeem(lease, 4711);
                break;
            case OperationKind.AbandonDelivery:
                AbandonDelivery(lease, op.B);
                break;
            case OperationKind.Acknowledge:
                Acknowledge(lease, op.B);
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
                lease.MustEnd(EndReason.Operator);
                Manager.End(lease.Id, EndReason.Operator, "model");
                break;
            case OperationKind.Recall:
                Recall(lease, StepMs * (op.B % 13), op.C % 2 == 0 ? EndReason.Operator : EndReason.Policy);
                break;
        }
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
        Fetch(lease);
    }

    private void RedeemOldTickets(ModelLease lease)
    {
        foreach (ReadOnlyMemory<byte> ticket in lease.OldTickets)
        {
            Assert.Equal(LeaseError.NotFound, Assert.Throws<LeaseException>(() => Manager.Redeem(ticket.Span, lease.Owner.Uid)).Error);
            _tally.Count(Deed.OldTicket);
        }
    }

    /// <summary>Changes nothing but what is shown, and only while it is recalled.</summary>
    private void Acknowledge(ModelLease lease, int choice)
    {
        if (choice % 4 == 0)
        {
            Assert.Equal(LeaseError.NotFound, Assert.Throws<LeaseException>(() => Manager.AcknowledgeRecall(lease.Id, 4711)).Error);
            return;
        }

        Manager.AcknowledgeRecall(lease.Id, lease.Owner.Uid);
        if (!lease.Live || lease.State != LeaseState.Recalled)
            return;
        lease.Acknowledged = true;
        _tally.Count(OperationKind.Acknowledge);
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

        if (_now < GraceUntil(lease) && _now >= Math.Min(lease.TtlDeadline, lease.ProgressAt + (lease.Hang == 0 ? ModelLease.Never / 2 : lease.Hang)))
            _tally.Count(Deed.HeartbeatInGrace);
        lease.TtlDeadline = _now + lease.Ttl;
        if (progress != lease.Progress)
            lease.ProgressAt = _now;
        lease.Progress = progress;
        Assert.Equal(new Renewal(TimeSpan.FromMilliseconds(Math.Max(0, Math.Min(lease.Ttl, Math.Min(lease.RecallDeadline, lease.LifeDeadline) - _now))), lease.State, EndReason.None), renewal);
    }

    private void Recall(ModelLease lease, long grace, EndReason reason)
    {
        Manager.Recall(lease.Id, TimeSpan.FromMilliseconds(grace), reason, "model");
        if (grace == 0)
            lease.MustEnd(reason);
        else
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
        bool isTooFast = !TakeRate(owner);
        Task<Grant> late = Manager.AcquireAsync(LeaseFixture.Sized(Page), owner, CancellationToken.None).AsTask();
        Assert.Equal(isTooFast ? LeaseError.Rate : LeaseError.Denied, Assert.ThrowsAny<LeaseException>(() => LeaseFixture.Wait(late)).Error);
        ReplaceOwner(index);
    }

    /// <summary>Lets something happen while the device is in its next call.</summary>
    private void Interleave(int device, Operation op)
    {
        OperationKind[] kinds =
        [
            OperationKind.End, OperationKind.Release, OperationKind.OwnerExit, OperationKind.LoseDevice, OperationKind.AcquireSized,
            OperationKind.PassTime, OperationKind.ResetDevice, OperationKind.CancelAcquire, OperationKind.Redeem, OperationKind.Stall, OperationKind.Reload, OperationKind.AcquireWaiting, OperationKind.CancelWait, OperationKind.Recall, OperationKind.Cordon, OperationKind.Uncordon,
            OperationKind.RequestDevice, OperationKind.FailDevice, OperationKind.ResetWithGrace, OperationKind.LookForDevices, OperationKind.AnswerKill,
        ];
        Operation inner = op with { Kind = kinds[op.B % kinds.Length], A = op.C };
        FakeDevice fake = _fixture.Devices[device];
        fake.OnCall = call =>
        {
            fake.OnCall = null;
            if (_depth > 0)
                return;
            _depth++;
            _inside = (device, call);
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
                _inside = null;
                _depth--;
                // The call may have taken long.
                _devices[device].FaultAt = _devices[device].DisturbedAt = _now;
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
            {
                MustEndAll(d, EndReason.BrokerShutdown);
                _devices[d].Plan = null;
            }

            Task shutdown = Manager.ShutdownAsync(CancellationToken.None);
            PumpUnblocked();
            Reconcile();
            CheckInvariants();
            CheckEvents();
            bool answers = Enumerable.Range(0, DeviceCount).All(d => !_devices[d].IsBlocked && !_fixture.Devices[d].FailClose);
            Assert.Equal(answers, _fixture.Devices.All(static d => d.Accessible.IsEmpty) && _leases.TrueForAll(static l => l.Ended) && shutdown.Wait(answers ? 20_000 : 0));
        }

        List<ModelLease> before = [.. _leases];
        foreach (FakeDevice device in _fixture.Devices)
            Assert.Empty(device.Violations);
        Dispose();
        Restart();
        foreach (ModelLease lease in before)
            Assert.Equal(default, Manager.Renew(lease.Id, lease.Owner.Uid, 1));
    }
}
