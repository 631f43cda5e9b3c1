// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;
using BarBroker.Linux;
using BarBroker.V1;
using BarBroker.Wire;
using Grpc.Core;
using EndReason = BarBroker.Leases.EndReason;

namespace BarBroker.FdChannel;

internal sealed partial class FdChannelConnection
{
    /// <summary>On a thread that changed a lease, at the moment when the lease became Active.</summary>
    public void Deliver(FdAcquire acquire, Redemption redemption)
    {
        var lease = redemption.Lease;
        acquire.Span?.Granted(lease.Id, lease.Device);
        using var handOver = server.Traces?.BeginHandOver(lease.Id, "");
        try
        {
            switch (TryDeliver(acquire, redemption))
            {
                case true:
                    logger.Delivered(lease.Id, peer.Pid, peer.Uid, redemption.Buffers.Length);
                    break;
                case false:
                    EndUndelivered(lease, "the client does not read");
                    break;
                case null:
                    // Abandoned, but a retry on another connection may have been told that the buffers were fetched: nobody has them.
                    End(lease, EndReason.Released, "the acquire was cancelled");
                    break;
            }
        }
        catch (ObjectDisposedException)
        {
            SendError(EndedMeanwhile(lease).ToFdError(acquire.RequestId));
        }
        catch (LinuxException exception)
        {
            EndUndelivered(lease, exception.Message);
        }
    }

    /// <summary>On any thread.</summary>
    public void FetchedBefore(FdAcquire acquire, LeaseInfo lease)
    {
        if (TryTake(acquire))
        {
            acquire.Span?.Granted(lease.Id, lease.Device);
            Send(new FdResponse { Delivery = new Delivery { Lease = lease.ToWire(), RequestId = acquire.RequestId, FetchedBefore = true } });
        }
    }

    /// <summary>On any thread.</summary>
    public void Refuse(FdAcquire acquire, LeaseException refusal)
    {
        if (TryTake(acquire))
        {
            acquire.Span?.Failed(refusal.Message);
            logger.AcquireRefused(peer.Pid, peer.Uid, refusal.Message);
            SendError(refusal.ToFdError(acquire.RequestId));
        }
    }

    /// <summary>Null: cancelled. Under the lock, so that a cancel comes before or after all of it.</summary>
    private bool? TryDeliver(FdAcquire acquire, Redemption redemption)
    {
        lock (_lock)
        {
            if (!Take(acquire))
            {
                return null;
            }

            // Followed before it is sent: who has the lease may follow it elsewhere at once, and that is the later word. Notices wait for the lock.
            string lease = redemption.Lease.Id;
            _told[lease] = redemption.Lease.State;
            server.Follow(lease, this);
            bool isDelivered = false;
            try
            {
                return isDelivered = Deliver(redemption, acquire.RequestId);
            }
            finally
            {
                if (!isDelivered)
                {
                    _told.Remove(lease);
                    server.Unfollow(lease, this);
                }
            }
        }
    }

    private string? Acquire(V1.AcquireRequest request, string traceparent)
    {
        var acquire = new FdAcquire(this, request.RequestId) { Span = server.Traces?.BeginAcquire(traceparent) };
        lock (_lock)
        {
            if (_acquires.ContainsKey(acquire.RequestId))
            {
                // The client could not tell the answer to this one from the answer to the other.
                return RefusePacket($"request_id \"{acquire.RequestId}\" waits for its answer on this connection already; give every acquire one of its own");
            }

            if (_acquires.Count >= options.AcquiresPerConnection)
            {
                SendError(new LeaseException(LeaseError.Quota, $"{_acquires.Count} acquires wait for their answers on this connection already; wait for one of them").ToFdError(acquire.RequestId));
                return null;
            }

            _acquires.Add(acquire.RequestId, acquire);
        }

        try
        {
            // The connection, which this thread closes, holds the process: it is watched until the lease itself holds it.
            acquire.Claim = leases.BeginAcquire(RequestReader.Read(request) with { Trace = acquire.Span?.Traceparent ?? "" }, process.Owner, acquire);
        }
        catch (LeaseException refusal)
        {
            Refuse(acquire, refusal);
        }

        return null;
    }

    private void Cancel(string requestId)
    {
        FdAcquire? acquire;
        lock (_lock)
        {
            if (!_acquires.Remove(requestId, out acquire))
            {
                return;
            }
        }

        Abandon(acquire);
        SendError(new FdError { Code = (uint)StatusCode.Cancelled, Message = "the acquire was cancelled", RequestId = requestId });
    }

    private void Abandon(FdAcquire acquire)
    {
        acquire.Span?.Failed("cancelled");
        if (acquire.Claim is { } claim)
        {
            leases.Abandon(claim, acquire);
        }
    }

    /// <summary>Not answered, so that nothing on this socket can be taken for the answer to something else.</summary>
    private void Acknowledge(string leaseId)
    {
        try
        {
            leases.AcknowledgeRecall(leaseId, peer.Uid);
        }
        catch (LeaseException)
        {
            // Another uid's, or ended and forgotten: there is nobody to tell.
        }
    }

    private void Redeem(ReadOnlySpan<byte> ticket, string traceparent)
    {
        Redemption redemption;
        try
        {
            redemption = leases.Redeem(ticket, peer.Uid);
        }
        catch (LeaseException refusal)
        {
            logger.TicketRefused(peer.Pid, peer.Uid, refusal.Message);
            SendError(refusal.ToFdError());
            return;
        }

        using var handOver = server.Traces?.BeginHandOver(redemption.Lease.Id, traceparent);
        try
        {
            if (Deliver(redemption, requestId: ""))
            {
                logger.Delivered(redemption.Lease.Id, peer.Pid, peer.Uid, redemption.Buffers.Length);
                Follow(redemption.Lease);
            }
            else
            {
                EndUndelivered(redemption.Lease, "the client does not read");
            }
        }
        catch (ObjectDisposedException)
        {
            SendError(EndedMeanwhile(redemption.Lease).ToFdError());
        }
        catch (LinuxException exception)
        {
            EndUndelivered(redemption.Lease, exception.Message);
            throw;
        }
    }

    /// <exception cref="ObjectDisposedException">The lease was revoked, and its buffers disposed, since it became Active.</exception>
    /// <exception cref="LinuxException">The client is gone.</exception>
    private bool Deliver(Redemption redemption, string requestId)
    {
        var lease = redemption.Lease;
        var response = new FdResponse { Delivery = new Delivery { Lease = lease.ToWire(), RequestId = requestId } };
        var files = new FileDescriptor[redemption.Buffers.Length];
        for (int i = 0; i < files.Length; i++)
        {
            files[i] = redemption.Buffers[i].Handle;
        }

        return SendOrBreak(response, files);
    }

    /// <summary>
    /// The ticket is used up, or there was none, and the client has no fds: nobody could ever use the lease, and its TTL would only keep the range from others.
    /// </summary>
    private void EndUndelivered(LeaseInfo lease, string cause)
    {
        logger.DeliveryFailed(lease.Id, peer.Pid, peer.Uid, cause);
        End(lease, EndReason.TicketExpired, $"delivery failed: {cause}");
    }

    private void End(LeaseInfo lease, EndReason reason, string detail)
    {
        try
        {
            leases.End(lease.Id, reason, detail);
        }
        catch (LeaseException)
        {
            // Ended and forgotten already.
        }
    }

    private bool TryTake(FdAcquire acquire)
    {
        lock (_lock)
        {
            return Take(acquire);
        }
    }

    /// <summary>False: cancelled, or the connection was closed. A later acquire may have the same id. Expects the lock.</summary>
    private bool Take(FdAcquire acquire) =>
        _acquires.TryGetValue(acquire.RequestId, out var waiting) && ReferenceEquals(waiting, acquire) && _acquires.Remove(acquire.RequestId);

    private static LeaseException EndedMeanwhile(LeaseInfo lease) =>
        new(LeaseError.Ended, $"lease {lease.Id} has ended meanwhile") { LeaseId = lease.Id, Device = lease.Device, EndReason = lease.EndReason };
}
