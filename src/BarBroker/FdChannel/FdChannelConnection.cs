// SPDX-License-Identifier: Apache-2.0

using System.Buffers;
using System.Net.Sockets;
using System.Threading.Channels;
using BarBroker.Leases;
using BarBroker.Linux;
using BarBroker.Linux.Processes;
using BarBroker.Linux.Sockets;
using BarBroker.V1;
using BarBroker.Wire;
using Google.Protobuf;
using Grpc.Core;
using EndReason = BarBroker.Leases.EndReason;
using LeaseState = BarBroker.Leases.LeaseState;

namespace BarBroker.FdChannel;

/// <summary>
/// One client of the fd socket. Nothing here ever waits for the client: the socket's buffer is the queue, and whoever lets it fill up is disconnected.
/// </summary>
internal sealed class FdChannelConnection(
    Socket socket, PeerCredentials peer, FdChannelServer server, LeaseManager leases, FdChannelOptions options, ILogger logger)
{
    /// <summary>Notices between the lease manager's threads and the socket. Only a starved thread pool fills it.</summary>
    private const int MaxPendingNotices = 4096;

    private readonly Channel<LeaseInfo> _notices = Channel.CreateBounded<LeaseInfo>(new BoundedChannelOptions(MaxPendingNotices) { SingleReader = true });

    // Guards sending, so that a delivery comes before the notices of its lease, and the leases below.
    private readonly Lock _lock = new();

    /// <summary>The leases delivered here that have not ended, and the last state that the client was told.</summary>
    private readonly Dictionary<string, LeaseState> _told = [];

    public PeerCredentials Peer => peer;

    /// <summary>Done when the connection is closed. Never fails.</summary>
    public Task Completion { get; private set; } = Task.CompletedTask;

    public void Start(CancellationToken stop)
    {
        logger.Connected(peer.Pid, peer.Uid);
        Completion = RunAsync(stop);
    }

    /// <summary>Answers with an error and closes, instead of <see cref="Start"/>.</summary>
    public void Refuse(StatusCode code, string message)
    {
        try
        {
            SendError(code, message, closing: true);
        }
        catch (LinuxException exception)
        {
            logger.Disconnected(peer.Pid, peer.Uid, exception.Message);
        }

        Close();
    }

    /// <summary>Called by the thread that changed the lease: it queues and returns.</summary>
    public void Notify(LeaseInfo lease)
    {
        if (!_notices.Writer.TryWrite(lease))
        {
            // Fails also when the connection is closing, and then does nothing.
            _notices.Writer.TryComplete();
        }
    }

    private async Task RunAsync(CancellationToken stop)
    {
        // A client with many packets ready would else be served on the thread that accepts.
        await Task.Yield();
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var receiving = GuardAsync(ReceiveAsync, ending);
        var notifying = GuardAsync(SendNoticesAsync, ending);
        await receiving.ConfigureAwait(false);
        await notifying.ConfigureAwait(false);

        _notices.Writer.TryComplete();
        if (stop.IsCancellationRequested)
        {
            SendLastNotices();
        }

        Close();
        foreach (string lease in _told.Keys)
        {
            server.Unfollow(lease);
        }

        server.Remove(this);
    }

    /// <summary>The broker ended its leases just before it stops: whoever reads learns of it.</summary>
    private void SendLastNotices()
    {
        try
        {
            while (_notices.Reader.TryRead(out var lease) && SendNotice(lease) is null)
            {
            }
        }
        catch (LinuxException exception)
        {
            logger.Disconnected(peer.Pid, peer.Uid, exception.Message);
        }
    }

    /// <summary>Runs one of the two loops; the end of one, for whatever reason, is the end of both.</summary>
    private async Task GuardAsync(Func<CancellationToken, Task<string>> loop, CancellationTokenSource ending)
    {
        try
        {
            logger.Disconnected(peer.Pid, peer.Uid, await loop(ending.Token).ConfigureAwait(false));
        }
        catch (OperationCanceledException) when (ending.IsCancellationRequested)
        {
            // The other loop ended, or the broker stops.
        }
        catch (Exception exception) when (exception is SocketException or LinuxException)
        {
            logger.Disconnected(peer.Pid, peer.Uid, exception.Message);
        }
        catch (Exception exception)
        {
            logger.Failed(peer.Pid, peer.Uid, exception);
        }

        await ending.CancelAsync().ConfigureAwait(false);
    }

    private async Task<string> ReceiveAsync(CancellationToken cancellation)
    {
        while (true)
        {
            // The buffer is taken only when there is something to receive: an idle connection costs none.
            await FdSocket.WaitReadableAsync(socket, cancellation).ConfigureAwait(false);
            if (Receive() is { } cause)
            {
                return cause;
            }

            // A flood takes turns with everybody else.
            await Task.Yield();
        }
    }

    /// <summary>Closing a socket with unread packets would have the client see ECONNRESET before the last answer (net/unix/af_unix.c, unix_release_sock).</summary>
    private void Close()
    {
        using (socket)
        {
            try
            {
                socket.Shutdown(SocketShutdown.Receive);
                while (FdSocket.TryReceive(socket, [], maxFiles: 1) is { } packet)
                {
                    packet.Dispose();
                    if (packet is { Length: 0, IsTruncated: false })
                    {
                        return;
                    }
                }
            }
            catch (Exception exception) when (exception is SocketException or LinuxException)
            {
                // The client is gone.
            }
        }
    }

    /// <returns>Why the connection is over; null if it is not.</returns>
    private string? Receive()
    {
        var buffer = ArrayPool<byte>.Shared.Rent(options.MessageBytes);
        try
        {
            var space = buffer.AsSpan(0, options.MessageBytes);
            if (FdSocket.TryReceive(socket, space, maxFiles: 1) is not { } packet)
            {
                return null;
            }

            using (packet)
            {
                return Answer(packet, space[..packet.Length]);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private string? Answer(ReceivedPacket packet, ReadOnlySpan<byte> data)
    {
        if (packet.Length == 0 && packet.Files.IsEmpty && !packet.IsTruncated && FdSocket.HasHungUp(socket))
        {
            return "closed by the client";
        }

        if (!TryParse(packet, data, out var request, out string fault))
        {
            logger.Malformed(peer.Pid, peer.Uid, fault);
            SendError(StatusCode.InvalidArgument, fault, closing: true);
            return "refused";
        }

        return Redeem(request.Redeem.Ticket.Span);
    }

    private bool TryParse(ReceivedPacket packet, ReadOnlySpan<byte> data, out FdRequest request, out string fault)
    {
        request = new FdRequest();
        fault = packet switch
        {
            { Files.IsEmpty: false } => "the packet carries file descriptors; send none",
            { IsTruncated: true } => $"the packet is longer than {options.MessageBytes} bytes, or carries file descriptors",
            { Length: 0 } => "the packet is empty; send a FdRequest",
            _ => "",
        };
        if (fault.Length > 0)
        {
            return false;
        }

        try
        {
            request.MergeFrom(data);
        }
        catch (InvalidProtocolBufferException)
        {
            fault = "the packet is not a FdRequest";
            return false;
        }

        fault = "the FdRequest has no request that this broker knows";
        return request.RequestCase == FdRequest.RequestOneofCase.Redeem;
    }

    private string? Redeem(ReadOnlySpan<byte> ticket)
    {
        Redemption redemption;
        try
        {
            redemption = leases.Redeem(ticket, peer.Uid);
        }
        catch (LeaseException refusal)
        {
            logger.TicketRefused(peer.Pid, peer.Uid, refusal.Message);
            return SendOrGiveUp(new FdResponse { Error = Error(refusal.Error.ToStatusCode(), refusal.Message) }, []);
        }

        try
        {
            return Deliver(redemption);
        }
        catch (ObjectDisposedException)
        {
            // The lease was revoked, and its buffers disposed, between redeeming and sending.
            return SendOrGiveUp(new FdResponse { Error = Error(StatusCode.FailedPrecondition, $"lease {redemption.Lease.Id} has ended meanwhile") }, []);
        }
        catch (LinuxException exception)
        {
            EndUndelivered(redemption.Lease, exception.Message);
            throw;
        }
    }

    private string? Deliver(Redemption redemption)
    {
        var lease = redemption.Lease;
        var response = new FdResponse { Delivery = new Delivery { Lease = lease.ToWire() } };
        var files = new FileDescriptor[redemption.Buffers.Length];
        for (int i = 0; i < files.Length; i++)
        {
            files[i] = redemption.Buffers[i].Handle;
        }

        if (SendOrGiveUp(response, files) is { } cause)
        {
            EndUndelivered(lease, "the client does not read");
            return cause;
        }

        logger.Delivered(lease.Id, peer.Pid, peer.Uid, files.Length);
        Follow(lease);
        return null;
    }

    /// <summary>
    /// The ticket is used up and the client has no fds: nobody could ever use the lease, and its TTL would only keep the range from others.
    /// </summary>
    private void EndUndelivered(LeaseInfo lease, string cause)
    {
        logger.DeliveryFailed(lease.Id, peer.Pid, peer.Uid, cause);
        leases.End(lease.Id, EndReason.TicketExpired, $"delivery failed: {cause}");
    }

    /// <summary>From the delivery on. What happened between redeeming and following is looked up, so that no change is missed.</summary>
    private void Follow(LeaseInfo lease)
    {
        lock (_lock)
        {
            _told[lease.Id] = lease.State;
        }

        server.Follow(lease.Id, this);
        try
        {
            Notify(leases.Get(lease.Id));
        }
        catch (LeaseException)
        {
            // Ended and forgotten already.
            Notify(lease with { State = LeaseState.Ended, Remaining = null });
        }
    }

    private async Task<string> SendNoticesAsync(CancellationToken cancellation)
    {
        await foreach (var lease in _notices.Reader.ReadAllAsync(cancellation).ConfigureAwait(false))
        {
            if (SendNotice(lease) is { } cause)
            {
                return cause;
            }
        }

        return "too many notices at once";
    }

    private string? SendNotice(LeaseInfo lease)
    {
        lock (_lock)
        {
            // A change can come both from the manager and from the look after the delivery, the older one last.
            if (!_told.TryGetValue(lease.Id, out var told) || Rank(lease.State) <= Rank(told))
            {
                return null;
            }

            if (lease.State == LeaseState.Ended)
            {
                _told.Remove(lease.Id);
                server.Unfollow(lease.Id);
            }
            else
            {
                _told[lease.Id] = lease.State;
            }

            return SendOrGiveUp(new FdResponse { Notice = new Notice { Lease = lease.ToWire() } }, []);
        }
    }

    private static int Rank(LeaseState state) => state == LeaseState.Ended ? int.MaxValue : (int)state;

    /// <returns>Why the connection is over; null if the packet was sent.</returns>
    private string? SendOrGiveUp(FdResponse response, ReadOnlySpan<FileDescriptor> files)
    {
        if (TrySend(response, files))
        {
            return null;
        }

        logger.DoesNotRead(peer.Pid, peer.Uid);
        return "the client does not read";
    }

    /// <summary>For a connection that ends: one who does not read does not get the error either.</summary>
    private void SendError(StatusCode code, string message, bool closing)
    {
        var error = Error(code, message);
        error.Closing = closing;
        _ = TrySend(new FdResponse { Error = error }, []);
    }

    private bool TrySend(FdResponse response, ReadOnlySpan<FileDescriptor> files)
    {
        var data = response.ToByteArray();
        lock (_lock)
        {
            return FdSocket.TrySend(socket, data, files);
        }
    }

    private static FdError Error(StatusCode code, string message) => new() { Code = (uint)code, Message = message };
}
