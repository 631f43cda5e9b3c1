// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Linux;
using BarBroker.Policy;

namespace BarBroker.Leases;

internal sealed partial class LeaseBook
{
    /// <summary>Sets the ranges aside and queues the export. The request has passed <see cref="AcquireValidator.Check"/> and the policy.</summary>
    public PendingGrant BeginAcquire(AcquireRequest request, LeaseOwner owner, LeaseTerms terms)
    {
        using Transition _ = Enter();
        Claim claim = FindOrPlace(request, owner, terms);
        // Counted also where the grant is there already: a first call that is just being cancelled must not take the lease from this one.
        claim.PendingCalls++;
        if (claim is Lease { Phase: ExportPhase.Done } lease)
            return new PendingGrant(lease, Answer(new(TaskCreationOptions.RunContinuationsAsynchronously), MakeGrant(lease, _clock.Now)));
        claim.Pending ??= new TaskCompletionSource<Grant>(TaskCreationOptions.RunContinuationsAsynchronously);
        return new PendingGrant(claim, claim.Pending.Task);
    }

    /// <summary>As <see cref="BeginAcquire"/>, for one who takes the buffers without a ticket. What it throws the recipient is not told.</summary>
    public Claim BeginDelivery(AcquireRequest request, LeaseOwner owner, LeaseTerms terms, IAcquireRecipient recipient)
    {
        using Transition _ = Enter();
        Claim claim = FindOrPlace(request, owner, terms);
        claim.PendingCalls++;
        if (claim is Lease { Phase: ExportPhase.Done } lease)
            HandOver(lease, recipient, _clock.Now);
        else
            (claim.Recipients ??= []).Add(recipient);
        return claim;
    }

    /// <summary>
    /// The caller of an acquire gave up, and with it the recipient, if there was one; that may have been called meanwhile, or be called just now. Without anybody else
    /// who waits for the lease, or has got it, the lease goes, whether or not the export has succeeded meanwhile.
    /// </summary>
    public void Abandon(Claim claim, IAcquireRecipient? recipient = null)
    {
        using Transition _ = Enter();
        // What the acquire has come to by now.
        claim = claim is Waiter { Granted: { } granted } ? granted : claim;
        if (recipient is not null)
            claim.Recipients?.Remove(recipient);
        if (--claim.PendingCalls > 0)
            return;
        claim.Pending = null;
        if (claim is Lease lease)
            EndLocked(lease, EndReason.Released, "the acquire was cancelled", _clock.Now);
        else
            Leave((Waiter)claim, WaitOutcome.Cancelled, _clock.Now);
    }

    private Claim FindOrPlace(AcquireRequest request, LeaseOwner owner, LeaseTerms terms)
    {
        try
        {
            return FindOrPlaceNew(request, owner, terms);
        }
        catch (LeaseException refusal)
        {
            _metrics.Refused(refusal);
            throw;
        }
    }

    private Claim FindOrPlaceNew(AcquireRequest request, LeaseOwner owner, LeaseTerms terms)
    {
        OwnerRecord record = _owners.GetValue(owner, static o => new OwnerRecord(o));
        if (record.Exited)
            throw new LeaseException(LeaseError.Denied, $"process {owner.Pid} ({owner.Comm}) has exited; nothing is granted to it");
        if (_shuttingDown)
            throw new LeaseException(LeaseError.Unavailable, "the broker is shutting down; try again when it is back");
        if (record.FindByRequestId(request.RequestId) is { } known)
            return known;
        // Where others wait it has its turn among them.
        if (_waiting > 0 || request.Wait > TimeSpan.Zero)
            return PlaceOrWait(request, record, terms);
        ulong bytes = BytesOf(request);
        if (QuotaRefusal(bytes, owner.Uid, terms) is { } over)
            throw over;
        Lease lease = request.Device.Length > 0
            ? TryPlace(FindSlot(request.Device, terms), request, record, out LeaseException? refusal) ?? throw refusal!
            : PlaceAnywhere(request, record, terms);
        Register(lease, terms, bytes);
        return lease;
    }

    /// <summary>On the device thread: whether the export is still wanted; with a piece, that is to be written first.</summary>
    public bool BeginExport(in DeviceCommand command, out ScrubPiece? piece)
    {
        using Transition _ = Enter();
        Lease lease = command.Lease!;
        piece = null;
        if (!lease.IsLive)
            return false;
        if (!lease.Slot.IsOpen)
        {
            EndLocked(lease, EndReason.DeviceLost, lease.Slot.Detail, _clock.Now);
            return false;
        }

        if (lease.Slot.NeedsClose)
        {
            // A close was asked for after this export was queued, and would take the buffers away again: behind it, then.
            lease.Slot.Executor.Post(new DeviceCommand(DeviceCommandKind.Export, lease));
            return false;
        }

        piece = NextPiece(command);
        if (piece is null)
            lease.Phase = ExportPhase.Running;
        return true;
    }

    /// <summary>On the device thread: what the export came to. With an error, <paramref name="exported"/> is what had succeeded before it.</summary>
    /// <param name="files">Which files they are, where anything is kept over a restart; else empty.</param>
    /// <param name="isKept">Whether they are.</param>
    public void EndExport(Lease lease, ImmutableArray<ExportedBuffer> exported, string? error, ImmutableArray<FileIdentity> files, bool isKept)
    {
        using Transition _ = Enter();
        long now = _clock.Now;
        lease.Slot.AnsweredAt = now;
        lease.Exported = exported;
        lease.Files = files;
        lease.IsKept = isKept;
        // Where nothing came into being there is nothing to prove.
        lease.Phase = exported.IsEmpty ? ExportPhase.Queued : ExportPhase.Done;
        if (!lease.IsLive)
        {
            if (exported.IsEmpty)
                Finish(lease, now);
            else
                RequestProof(lease, now);
        }
        else if (error is not null)
        {
            EndLocked(lease, EndReason.DeviceLost, $"export failed: {error}", now);
        }
        else
        {
            Complete(lease, now);
        }
    }

    private void Register(Lease lease, LeaseTerms terms, ulong bytes)
    {
        long now = _clock.Now;
        lease.Terms = terms;
        lease.Ttl = terms.Ttl;
        lease.TtlUnits = _clock.Units(lease.Ttl);
        lease.HangLimit = terms.HangLimit ?? default;
        lease.HangUnits = _clock.Units(lease.HangLimit);
        if (terms.MaxLifetime is { } life)
            SetEndOfLife(lease, now + _clock.Units(life));

        lease.GrantedAt = now;
        lease.Place = Board?.Take(lease.Epoch, lease.Slot.Name);
        lease.TtlDeadline = now + lease.TtlUnits;
        Enroll(lease, bytes);
        Requeue(lease);
        lease.Slot.Executor.Post(new DeviceCommand(DeviceCommandKind.Export, lease));
        Tell(lease, now);
    }

    /// <summary>Into every account that it is to be found in until it has ended.</summary>
    private void Enroll(Lease lease, ulong bytes)
    {
        lease.Bytes = bytes;
        UidAccount account = Account(lease.Owner.Owner.Uid);
        account.Leases++;
        account.Bytes += bytes;
        // Those of its waiters that are over their quota by this stand in nobody's way any more.
        if (account.Waiting > 0)
            WakeAll();
        _byId.Add(lease.Id, lease);
        lease.Slot.Leases.Add(lease);
        lease.Owner.Leases.Add(lease);
        _countByState[(int)lease.State]++;
        if (!lease.IsLive)
            return;
        lease.Slot.LiveLeases++;
        lease.Owner.RememberRequestId(lease);
    }

    /// <summary>The buffers are there: the clocks start and the acquire is answered.</summary>
    private void Complete(Lease lease, long now)
    {
        lease.TtlDeadline = now + lease.TtlUnits;
        _metrics.Granted(lease.Slot.Name, _clock.Span(now - lease.GrantedAt));
        List<IAcquireRecipient> recipients = lease.Recipients ?? [];
        lease.Recipients = null;
        foreach (IAcquireRecipient recipient in recipients)
            HandOver(lease, recipient, now);
        if (lease.Pending is not { } pending)
            return;
        lease.Pending = null;
        Grant grant = MakeGrant(lease, now);
        TellRecord(lease, now);
        Answer(pending, grant);
    }

    /// <summary>By the observers' queue: whoever keeps records was told of the lease before, so that its ticket never leaves without one.</summary>
    private Task<Grant> Answer(TaskCompletionSource<Grant> pending, Grant grant)
    {
        _observers.Add(() => pending.TrySetResult(grant));
        return pending.Task;
    }

    /// <summary>Gives the buffers to the recipient, if it is the first who asks for them.</summary>
    private void HandOver(Lease lease, IAcquireRecipient recipient, long now)
    {
        if (lease.Fetched)
        {
            LeaseInfo info = lease.ToInfo(_clock, now);
            _observers.Add(() => recipient.FetchedBefore(info));
            return;
        }

        Fetch(lease, now);
        LeaseInfo fetched = lease.ToInfo(_clock, now);
        var redemption = new Redemption(fetched, lease.Exported);
        bool isRecorded = TellRecord(lease, now);
        // The delivery before what is told of the lease, so that no notice of it can come first.
        _observers.Add(() => recipient.Deliver(redemption));
        if (_observers.HasObservers)
            _observers.Add(fetched with { IsRecorded = isRecorded });
    }

    /// <summary>The answer to an acquire, with a new ticket unless the fds were fetched already.</summary>
    private Grant MakeGrant(Lease lease, long now)
    {
        if (lease.Fetched)
            return new Grant(lease.ToInfo(_clock, now), ReadOnlyMemory<byte>.Empty, TimeSpan.Zero);
        byte[] ticket = _tickets.Issue(lease);
        lease.TicketDeadline = now + _clock.Units(_options.TicketTtl);
        Requeue(lease);
        return new Grant(lease.ToInfo(_clock, now), ticket, _options.TicketTtl);
    }
}
