// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using BarBroker.Leases;
using BarBroker.Linux;
using BarBroker.Linux.Processes;
using BarBroker.Linux.Sockets;
using BarBroker.Processes;
using BarBroker.V1;
using BarBroker.Wire;
using Google.Protobuf;
using Grpc.Core;
using LeaseState = BarBroker.Leases.LeaseState;

namespace BarBroker.FdChannel;

/// <summary>
/// One client of the fd socket: what it asks, and what its leases do. The loop's thread reads and closes; any thread sends, and none ever waits for the client: the
/// socket's buffer is the queue, and whoever lets it fill up is disconnected.
/// </summary>
internal sealed partial class FdChannelConnection(
    Socket socket, PeerCredentials peer, ClientProcess process, FdChannelServer server, LeaseManager leases, FdChannelOptions options, ILogger logger)
{
    // Guards what is below, and sending, so that a delivery comes before the notices of its lease. Nothing but leaf locks is taken under it.
    private readonly Lock _lock = new();

    /// <summary>The leases delivered or followed here that have not ended, and the last state that the client was told, or is about to be.</summary>
    private readonly Dictionary<string, LeaseState> _told = [];

    /// <summary>What it is about to be told.</summary>
    private readonly Dictionary<string, LeaseInfo> _changed = [];

    /// <summary>Those that wait for their answers, by request id. Whoever takes one out answers it.</summary>
    private readonly Dictionary<string, FdAcquire> _acquires = [];

    private bool _isClosed;
    private volatile bool _isBroken;

    public Socket Socket => socket;

    public PeerCredentials Peer => peer;

    /// <summary>Answers with an error and closes, instead of serving the client.</summary>
    public static void Refuse(Socket socket, StatusCode code, string message)
    {
        using (socket)
        {
            SendClosing(socket, code, message);
            Disconnect(socket);
        }
    }

    /// <summary>Takes in one packet, if there is one. On the loop's thread.</summary>
    /// <returns>Why the connection is over; null if it is not.</returns>
    public string? Serve(Span<byte> buffer)
    {
        if (_isBroken)
        {
            return "the client does not read";
        }

        if (FdSocket.TryReceive(socket, buffer, maxFiles: 1) is not { } packet)
        {
            return null;
        }

        using (packet)
        {
            return Answer(packet, buffer[..packet.Length], buffer.Length);
        }
    }

    /// <summary>On the loop's thread.</summary>
    public void Close()
    {
        FdAcquire[] abandoned;
        string[] followed;
        lock (_lock)
        {
            _isClosed = true;
            abandoned = [.. _acquires.Values];
            _acquires.Clear();
            followed = [.. _told.Keys];
            _told.Clear();
            _changed.Clear();
        }

        using (socket)
        {
            Disconnect(socket);
        }

        foreach (var acquire in abandoned)
        {
            Abandon(acquire);
        }

        foreach (string lease in followed)
        {
            server.Unfollow(lease, this);
        }

        server.Remove(this, process);
    }

    /// <summary>Called by the thread that changed the lease: it notes the change, and the loop tells the client.</summary>
    public void Notify(LeaseInfo lease)
    {
        lock (_lock)
        {
            // A change can come both from the manager and from the look after a delivery, the older one last.
            if (!_told.TryGetValue(lease.Id, out var told) || Rank(lease.State) <= Rank(told))
            {
                return;
            }

            if (lease.State == LeaseState.Ended)
            {
                _told.Remove(lease.Id);
                server.Unfollow(lease.Id, this);
            }
            else
            {
                _told[lease.Id] = lease.State;
            }

            // A lease that changes again before its client is told is told once.
            _changed[lease.Id] = lease;
            if (_changed.Count > 1)
            {
                return;
            }
        }

        server.Wake(this);
    }

    /// <summary>On the loop's thread.</summary>
    public void SendNotices()
    {
        lock (_lock)
        {
            foreach (var lease in _changed.Values)
            {
                Send(new FdResponse { Notice = new Notice { Lease = lease.ToWire() } });
            }

            _changed.Clear();
        }
    }

    private static int Rank(LeaseState state) => state == LeaseState.Ended ? int.MaxValue : (int)state;

    /// <summary>Closing a socket with unread packets would have the client see ECONNRESET before the last answer (net/unix/af_unix.c, unix_release_sock).</summary>
    private static void Disconnect(Socket socket)
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

    private string? Answer(ReceivedPacket packet, ReadOnlySpan<byte> data, int limit)
    {
        if (packet.Length == 0 && packet.Files.IsEmpty && !packet.IsTruncated && FdSocket.HasHungUp(socket))
        {
            return _isBroken ? "the client does not read" : "closed by the client";
        }

        if (!FdRequestReader.TryRead(packet, data, limit, out var request, out string fault))
        {
            return RefusePacket(fault);
        }

        switch (request.RequestCase)
        {
            case FdRequest.RequestOneofCase.Acquire:
                return Acquire(request.Acquire, request.Traceparent);
            case FdRequest.RequestOneofCase.Cancel:
                Cancel(request.Cancel.RequestId);
                return null;
            case FdRequest.RequestOneofCase.Acknowledge:
                Acknowledge(request.Acknowledge.LeaseId);
                return null;
            case FdRequest.RequestOneofCase.Follow:
                Follow(request.Follow.LeaseIds);
                return null;
            default:
                Redeem(request.Redeem.Ticket.Span, request.Traceparent);
                return null;
        }
    }

    private string RefusePacket(string fault)
    {
        logger.Malformed(peer.Pid, peer.Uid, fault);
        lock (_lock)
        {
            SendClosing(socket, StatusCode.InvalidArgument, fault);
        }

        return "refused";
    }

    /// <summary>Before the connection is closed: one who does not read does not get the error either.</summary>
    private static void SendClosing(Socket socket, StatusCode code, string message)
    {
        try
        {
            _ = FdSocket.TrySend(socket, new FdResponse { Error = new FdError { Code = (uint)code, Message = message, Closing = true } }.ToByteArray(), []);
        }
        catch (LinuxException)
        {
            // The client is gone.
        }
    }

    private void SendError(FdError error) => Send(new FdResponse { Error = error });

    /// <summary>For what nobody needs to know whether it arrives.</summary>
    private void Send(FdResponse response)
    {
        try
        {
            _ = SendOrBreak(response, []);
        }
        catch (LinuxException)
        {
            // The client is gone, and the loop is told so by the same socket.
        }
    }

    /// <summary>False: not sent, and the loop is about to close the connection.</summary>
    private bool SendOrBreak(FdResponse response, ReadOnlySpan<FileDescriptor> files)
    {
        lock (_lock)
        {
            if (_isClosed || _isBroken)
            {
                return false;
            }

            if (FdSocket.TrySend(socket, response.ToByteArray(), files))
            {
                return true;
            }

            _isBroken = true;
            logger.DoesNotRead(peer.Pid, peer.Uid);
            // Wakes the loop, which owns the socket. What was sent before is still there to be read.
            ShutDown();
            return false;
        }
    }

    private void ShutDown()
    {
        try
        {
            socket.Shutdown(SocketShutdown.Both);
        }
        catch (SocketException)
        {
            // The client is gone, and the loop is told so by the same socket.
        }
    }
}
