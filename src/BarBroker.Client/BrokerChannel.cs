// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using Grpc.Net.Client;

namespace BarBroker.Client;

/// <summary>gRPC over a Unix socket. <see cref="BrokerClient"/> has one of its own; tools that talk to the operator socket open theirs here.</summary>
public static class BrokerChannel
{
    private const int MaxMessageBytes = 64 << 20;

    /// <summary>A channel that connects when the first call is made, and again after the broker was restarted.</summary>
    /// <exception cref="BrokerUnavailableException">The path is longer than a Unix socket's address can be.</exception>
    public static GrpcChannel Open(string socketPath)
    {
        var address = Address(socketPath);
        var handler = new SocketsHttpHandler
        {
            ConnectCallback = (_, cancellation) => ConnectAsync(address, cancellation),
            PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan,
            ConnectTimeout = TimeSpan.FromSeconds(5),
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ActivityHeadersPropagator = null,
        };
        // Kestrel refuses the percent-encoded path that other resolvers send as the authority, so a plain one is used.
        return GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions
        {
            HttpHandler = handler,
            DisposeHttpClient = true,
            MaxReceiveMessageSize = MaxMessageBytes,
            ThrowOperationCanceledOnCancellation = true,
        });
    }

    /// <summary>The address of a socket.</summary>
    /// <exception cref="BrokerUnavailableException">The path is too long.</exception>
    public static UnixDomainSocketEndPoint Address(string socketPath)
    {
        try
        {
            return new UnixDomainSocketEndPoint(socketPath);
        }
        catch (ArgumentOutOfRangeException exception)
        {
            throw new BrokerUnavailableException(socketPath, "The path is longer than the 107 bytes that the address of a Unix socket can hold; use a shorter runtime directory.", exception);
        }
    }

    private static async ValueTask<Stream> ConnectAsync(UnixDomainSocketEndPoint address, CancellationToken cancellation)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(address, cancellation).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
