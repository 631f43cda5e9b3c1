// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

/// <content>What an acquire does: at once, after waiting, with a ticket or without, retried, given up.</content>
internal sealed partial class ModelWorld
{
    private void Acquire(Operation op)
    {
        LeaseOwner owner = _owners[op.A % OwnerCount];
        int device = DeviceOf(op);
        AcquireRequest asked = MakeRequest(op, device);
        AcquireRequest request = ModelPools.Meant(asked);
        ModelTerms terms = TermsOf(owner);
        ModelLease? known = Known(request, owner);
        ModelWaiter? knownWaiter = KnownWaiter(request, owner);
        LeaseError? expected = terms.Refuses(device, NamesRanges(request)) ? LeaseError.Denied : TakeRate(owner) ? null : LeaseError.Rate;
        if (known is null && knownWaiter is null)
            expected ??= PredictRefusal(request, device, owner, terms);
        List<LeaseBuffer> kept = KeptAhead(device, request, _places, out _);
        HashSet<string> behind = Behind(device, request.Priority ?? 0, null);
        int told = _fixture.Told.Count;
        (PendingCall? call, LeaseException? refusal) = Begin(asked, owner, isDelivery: op.D % 3 == 0);
        if (refusal is not null || expected is not null)
        {
            Assert.True(refusal is not null, $"not refused with {expected}");
            Assert.True(refusal!.Error == expected, $"not {expected?.ToString() ?? "granted"}: {refusal.Error}, {refusal.Message}");
            _tally.Count(refusal.Error);
            return;
        }

        if (knownWaiter is not null)
        {
            _tally.Count(Deed.KnownWaiter);
            knownWaiter.Calls.Add(call!);
            return;
        }

        if (known is not null)
            _tally.Count(Deed.KnownLease);
        Attach(known ?? Adopt(_fixture.Told[told], request, device, owner, terms, behind, kept), call!);
    }

    private void AcquireWaiting(Operation op)
    {
        LeaseOwner owner = _owners[op.A % OwnerCount];
        int device = DeviceOf(op);
        string name = $"w{_names++}";
        long wait = StepMs * (1 + (op.B % 40));
        AcquireRequest asked = MakeRequest(op, device);
        asked = asked with
        {
            Device = op.D % 5 == 0 ? "" : Name(device),
            Wait = TimeSpan.FromMilliseconds(wait),
            Labels = asked.Labels.Add(ModelWaiter.Label, name),
        };
        AcquireRequest request = ModelPools.Meant(asked);
        ModelTerms terms = TermsOf(owner);
        int[] devices = [.. request.Device.Length > 0 ? [device] : Enumerable.Range(0, DeviceCount).Where(d => d != terms.NotDevice)];
        ModelLease? known = Known(request, owner);
        ModelWaiter? knownWaiter = KnownWaiter(request, owner);
        int waiting = _waiters.Count(w => w.Owner.Uid == owner.Uid);
        bool isDenied = Array.TrueForAll(devices, d => terms.Refuses(d, NamesRanges(request)));
        bool isTooFast = !isDenied && !TakeRate(owner);
        (PendingCall? call, LeaseException? refusal) = Begin(asked, owner, isDelivery: op.C % 3 == 0);
        Assert.Equal(isTooFast, refusal?.Error == LeaseError.Rate);
        if (refusal is not null)
        {
            _tally.Count(refusal.Error);
            Assert.Equal(isDenied, refusal.Error == LeaseError.Denied);
            bool never = BytesOf(request) > Options.MaxBytesPerUid || waiting >= Options.MaxWaitingPerUid;
            Assert.True(isDenied || isTooFast || (_shuttingDown ? refusal.Error == LeaseError.Unavailable : never), $"refused at once instead of waiting: {refusal.Message}");
            return;
        }

        if (known is not null)
        {
            Attach(known, call!);
        }
        else if (knownWaiter is not null)
        {
            knownWaiter.Calls.Add(call!);
        }
        else
        {
            // Adopted as a lease in a moment, if it was its turn.
            var waiter = new ModelWaiter(name, request, owner, _now, _now + wait) { Devices = devices, Terms = terms };
            waiter.Calls.Add(call!);
            _waiters.Add(waiter);
            Queue(waiter, waiting);
        }
    }

    /// <summary>Half of them go to the first.</summary>
    private static int DeviceOf(Operation op) => Math.Max(0, (op.A / OwnerCount % (DeviceCount + 1)) - 1);

    private ModelLease? Known(AcquireRequest request, LeaseOwner owner) =>
        request.RequestId.Length == 0 ? null : _leases.Find(l => l.Live && l.Owner == owner && l.RequestId == request.RequestId);

    private ModelWaiter? KnownWaiter(AcquireRequest request, LeaseOwner owner) =>
        request.RequestId.Length == 0 ? null : _waiters.Find(w => w.Owner == owner && w.Request.RequestId == request.RequestId);

    /// <summary>One way or the other. What is refused at once comes back as that.</summary>
    private (PendingCall? Call, LeaseException? Refusal) Begin(AcquireRequest request, LeaseOwner owner, bool isDelivery)
    {
        if (!isDelivery)
        {
            var cancel = new CancellationTokenSource();
            Task<Grant> task = Manager.AcquireAsync(request, owner, cancel.Token).AsTask();
            return task.IsFaulted ? (null, Assert.IsType<LeaseException>(task.Exception!.InnerException)) : (new PendingCall(task, cancel), null);
        }

        var recipient = new ModelRecipient(id => _fixture.Told.Exists(t => t.Id == id));
        try
        {
            return (new PendingCall(null, null, recipient, Manager.BeginAcquire(request, owner, recipient)), null);
        }
        catch (LeaseException refusal)
        {
            Assert.Equal(0, recipient.Answers);
            return (null, refusal);
        }
    }

    /// <summary>The call is answered by this lease: now, or when it is exported.</summary>
    private void Attach(ModelLease lease, PendingCall call)
    {
        lease.Outstanding++;
        if (lease.Granted)
            Answer(lease, call);
        else
            lease.Calls.Add(call);
    }

    private void Answer(ModelLease lease, PendingCall call)
    {
        if (call.Task is { } task)
        {
            TakeTicket(lease, LeaseFixture.Wait(task));
            return;
        }

        Assert.Equal(1, call.Recipient!.Answers);
        LeaseInfo? info = lease.Fetched ? call.Recipient.Before : call.Recipient.Delivered?.Lease;
        Assert.Equal(lease.Id, info?.Id);
        _tally.Count(lease.Fetched ? Deed.FetchedBefore : Deed.Delivered);
        Assert.True(lease.Fetched || call.Recipient.IsRecorded, $"{lease.Id} was delivered before it was told of");
        lease.Deliveries.Add(call);
        if (!lease.Fetched)
            Fetch(lease);
    }

    private void TakeTicket(ModelLease lease, Grant grant)
    {
        Assert.Equal(lease.Id, grant.Lease.Id);
        Assert.Equal(lease.Fetched ? 0 : 16, grant.Ticket.Length);
        // Calls that are answered together have the same.
        if (!lease.Ticket.IsEmpty && !lease.Ticket.Span.SequenceEqual(grant.Ticket.Span))
            lease.OldTickets.Add(lease.Ticket);
        lease.Ticket = grant.Ticket;
        if (!lease.Fetched)
            lease.TicketDeadline = _now + (long)Options.TicketTtl.TotalMilliseconds;
    }

    private void Fetch(ModelLease lease)
    {
        lease.Fetched = true;
        lease.TtlDeadline = _now + lease.Ttl;
        lease.ProgressAt = _now;
        if (lease.State == LeaseState.Granted)
            lease.State = LeaseState.Active;
    }

    private static AcquireRequest MakeRequest(Operation op, int device)
    {
        bool isExplicit = op.Kind == OperationKind.AcquireExplicit || (op.Kind == OperationKind.AcquireWaiting && op.C % 2 == 0);
        AcquireRequest request = op.A / 16 % 4 == 0 ? MakePoolRequest(op, isExplicit) : LeaseFixture.Request([.. MakeBuffers(op, isExplicit)]);
        return request with
        {
            Device = Name(device),
            Access = op.B % 3 == 0 ? BufferAccess.ReadOnly : BufferAccess.ReadWrite,
            Ttl = TimeSpan.FromMilliseconds(StepMs * (1 + (op.B % 100))),
            HangLimit = op.C % 4 == 0 ? TimeSpan.FromMilliseconds(StepMs * (4 + (op.D % 76))) : null,
            RequestId = op.B % 5 == 0 ? $"r{op.B % 2}" : "",
            Priority = op.D % 4,
        };
    }

    private static List<BufferRequest> MakeBuffers(Operation op, bool isExplicit)
    {
        BufferRequest first;
        if (isExplicit)
        {
            ulong start = (ulong)(op.C % BarPages);
            ulong length = 1 + ((ulong)op.D % Math.Min(5, BarPages - start));
            first = new BufferRequest(0, [new BarRange(start * Page, length * Page)]);
        }
        else
        {
            first = new BufferRequest(0, [], (ulong)(1 + (op.C % 6)) * Page, op.D % 3 == 0 ? Page << (op.D % 4) : 0, op.D % 4 == 1);
        }

        // A second buffer, in the other BAR; or a third in the same, where the first is not in pieces.
        List<BufferRequest> buffers = [first];
        if (op.C % 5 == 0)
            buffers.Add(new BufferRequest(2, [], (ulong)(1 + (op.D % 18)) * Page));
        if (op.C % 7 == 3 && !first.AllowSplit)
            buffers.Add(new BufferRequest(0, [], (ulong)(1 + (op.B % 3)) * Page, op.B % 2 == 0 ? Page << 1 : 0));
        if (op.D % 11 == 0)
            buffers.Reverse();
        return buffers;
    }

    /// <summary>Compares the place that the manager chose with the rule, and takes the lease into the model.</summary>
    /// <param name="behind">Who waits for the device and comes after it.</param>
    /// <param name="kept">What is kept for those who come before; null: not known.</param>
    private ModelLease Adopt(LeaseInfo info, AcquireRequest request, int device, LeaseOwner owner, ModelTerms terms, HashSet<string> behind, List<LeaseBuffer>? kept)
    {
        Assert.Equal(LeaseState.Granted, info.State);
        Assert.True(_everyId.Add(info.Id), $"{info.Id} was used before");
        Assert.True(info.Epoch > _lastEpoch, "epochs grow");
        // The same sweep may have come to the cordon after it.
        bool isCordoned = _devices[device].Cordons.Any(c => c != CordonCause.Stuck || _devices[device].StuckCordonAt != _now);
        Assert.True(!isCordoned && _devices[device].Plan is null, $"{info.Id} was granted on {info.Device}, which leaves, or is cordoned: {_devices[device].Plan}, {string.Join(", ", _devices[device].Cordons)}");
        _lastEpoch = info.Epoch;
        CheckPlaces(device, request, info, kept);
        CheckSlot(device, request, info, kept);
        var lease = new ModelLease
        {
            Id = info.Id,
            Epoch = info.Epoch,
            Device = device,
            Owner = owner,
            Buffers = info.Buffers,
            ReadOnly = ModelPools.IsReadOnly(request),
            Pool = request.Pool,
            RequestId = request.RequestId,
            Rule = terms.Rule,
            Behind = behind,
            Ttl = Math.Min((long)Math.Clamp(request.Ttl!.Value.TotalMilliseconds, Options.MinTtl.TotalMilliseconds, Options.MaxTtl.TotalMilliseconds), terms.Life),
            GrantedAt = _now,
            NamesRanges = NamesRanges(request),
            Grace = terms.Grace,
            Hang = terms.HangOf(request.HangLimit),
            Priority = Math.Clamp(request.Priority ?? 0, 0, LastPriority),
        };
        if (terms.Life != ModelLease.Never)
            SetEndOfLife(lease, _now + terms.Life);
        _leases.Add(lease);
        _fresh.Add(lease);
        CheckQuota(lease, terms);
        return lease;
    }

    /// <summary>What the user held when it was granted: what is there by now of its leases up to this one may only be less.</summary>
    private void CheckQuota(ModelLease lease, ModelTerms terms)
    {
        LeaseInfo[] held = [.. Manager.List(LeaseFilter.All with { Uid = lease.Owner.Uid }).Where(l => l.Epoch <= lease.Epoch)];
        Assert.True(held.Length <= terms.MaxLeases, $"uid {lease.Owner.Uid} has {held.Length} leases");
        Assert.True(held.Aggregate(0UL, static (sum, l) => sum + l.Buffers.Aggregate(0UL, static (s, b) => s + b.Size)) <= Options.MaxBytesPerUid, $"uid {lease.Owner.Uid} has too many bytes");
    }

    private void CancelAcquire(Operation op)
    {
        ModelLease[] waiting = [.. _leases.Where(static l => l.Calls.Count > 0)];
        if (waiting.Length == 0)
            return;
        ModelLease lease = waiting[op.A % waiting.Length];
        PendingCall call = lease.Calls[op.B % lease.Calls.Count];
        lease.Calls.Remove(call);
        if (--lease.Outstanding == 0)
            lease.MustEnd(EndReason.Released);
        GiveUp(call);
        _tally.Count(op.Kind);
    }

    private void CancelWait(ModelWaiter waiter, int index = 0)
    {
        PendingCall call = waiter.Calls[index % waiter.Calls.Count];
        waiter.Calls.Remove(call);
        if (waiter.Calls.Count == 0)
            _waiters.Remove(waiter);
        GiveUp(call);
        Assert.Equal(waiter.Calls.Count > 0, Manager.Waiting(LeaseFilter.All).Any(w => w.Labels[ModelWaiter.Label] == waiter.Name));
        _tally.Count(OperationKind.CancelWait);
    }

    /// <summary>Somebody has got the buffers, and could not deliver them.</summary>
    private void AbandonDelivery(ModelLease lease, int index)
    {
        if (lease.Deliveries.Count == 0)
            return;
        PendingCall call = lease.Deliveries[index % lease.Deliveries.Count];
        lease.Deliveries.Remove(call);
        if (--lease.Outstanding == 0)
            lease.MustEnd(EndReason.Released);
        Manager.Abandon(call.Claim!, call.Recipient!);
        Assert.Equal(1, call.Recipient!.Answers);
        _tally.Count(OperationKind.AbandonDelivery);
    }

    private void GiveUp(PendingCall call)
    {
        if (call.Recipient is { } recipient)
        {
            Manager.Abandon(call.Claim!, recipient);
            Assert.Equal(0, recipient.Answers);
            return;
        }

        call.Cancel!.Cancel();
        // The lease is given up before the caller hears of it.
        Assert.ThrowsAny<OperationCanceledException>(() => LeaseFixture.Wait(call.Task!));
    }
}
