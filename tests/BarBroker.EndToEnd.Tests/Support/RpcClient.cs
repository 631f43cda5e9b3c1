// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using BarBroker.V1;
using Grpc.Net.Client;

namespace BarBroker.EndToEnd.Tests.Support;

/// <summary>gRPC over one of the broker's sockets, or over a connection that another process made.</summary>
internal sealed class RpcClient : IDisposable
{
    private readonly GrpcChannel _channel;

    private RpcClient(Func<CancellationToken, ValueTask<Stream>> connect)
    {
        var handler = new SocketsHttpHandler { ConnectCallback = (_, cancellation) => connect(cancellation) };
        _channel = GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true });
        Leases = new LeaseService.LeaseServiceClient(_channel);
        Operator = new OperatorService.OperatorServiceClient(_channel);
    }

    public LeaseService.LeaseServiceClient Leases { get; }

    public OperatorService.OperatorServiceClient Operator { get; }

    public static RpcClient Dial(string path) => new(async cancellation =>
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    });

    /// <summary>The broker takes the process that connected for the caller. The connection is not made anew when it is lost.</summary>
    public static RpcClient Over(Socket connected)
    {
        int uses = 0;
        return new(_ => Interlocked.Increment(ref uses) == 1
            ? ValueTask.FromResult<Stream>(new NetworkStream(connected, ownsSocket: true))
            : ValueTask.FromException<Stream>(new IOException("the connection that was lent is lost")));
    }

    public void Dispose() => _channel.Dispose();
}
