// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using BarBroker.Leases;
using BarBroker.Linux;
using BarBroker.Linux.Processes;
using BarBroker.Processes;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace BarBroker.Rpc;

/// <summary>Stands before a Unix socket's first byte: finds out from the kernel who connected, keeps to the limit a uid, and closes what it cannot name.</summary>
internal sealed class ConnectionGate(SocketKind kind, ConnectionLimiter limiter, ClientRegistry registry, ILogger<ConnectionGate> log)
{
    public ConnectionDelegate Wrap(ConnectionDelegate next) => connection => RunAsync(connection, next);

    private async Task RunAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        var socket = connection.Features.GetRequiredFeature<IConnectionSocketFeature>().Socket;
        uint uid;
        try
        {
            uid = PeerCredentials.Of(socket).Uid;
        }
        catch (Exception exception) when (exception is IOException or SocketException or ObjectDisposedException)
        {
            ProcessLog.GoneAtAccept(log, kind, exception);
            connection.Abort();
            return;
        }

        if (!limiter.TryEnter(uid, out bool tell))
        {
            if (tell)
            {
                ProcessLog.TooManyConnections(log, uid, limiter.Limit, kind);
            }

            connection.Abort();
            return;
        }

        try
        {
            await ServeAsync(connection, socket, next);
        }
        finally
        {
            limiter.Leave(uid);
        }
    }

    private async Task ServeAsync(ConnectionContext connection, Socket socket, ConnectionDelegate next)
    {
        if (kind == SocketKind.Operator)
        {
            await ServeOperatorAsync(connection, socket, next);
            return;
        }

        ClientProcess process;
        try
        {
            process = registry.Connected(socket);
        }
        catch (Exception exception) when (exception is IOException or SocketException or ObjectDisposedException)
        {
            ProcessLog.GoneAtAccept(log, kind, exception);
            connection.Abort();
            return;
        }

        try
        {
            connection.Features.Set(new Caller(kind, process.Owner, process));
            await next(connection);
        }
        finally
        {
            registry.Release(process);
        }
    }

    private static async Task ServeOperatorAsync(ConnectionContext connection, Socket socket, ConnectionDelegate next)
    {
        var peer = PeerCredentials.Of(socket);
        using var process = TryOpen(socket);
        var caller = new LeaseOwner(peer.Uid, peer.Gid, peer.Pid, process?.ReadName() ?? "")
        {
            Groups = PeerCredentials.GroupsOf(socket),
            Facts = process is null ? null : new ProcessFacts(process),
        };
        connection.Features.Set(new Caller(SocketKind.Operator, caller, null));
        await next(connection);
    }

    /// <summary>An operator may have handed its connection on and ended: what a policy asks of its process is then unknown, and it goes on for its user.</summary>
    private static PidFd? TryOpen(Socket socket)
    {
        try
        {
            return PidFd.OfPeer(socket);
        }
        catch (LinuxException)
        {
            return null;
        }
    }
}
