// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using Grpc.Net.Client;

namespace BarBroker.Bench;

/// <summary>Bare gRPC channels to a broker's sockets.</summary>
internal static class Channels
{
    public static GrpcChannel Client(Broker broker) => Open(Path.Combine(broker.RuntimeDirectory, "broker.sock"));

    public static GrpcChannel Operator(string runtimeDirectory) => Open(Path.Combine(runtimeDirectory, "admin.sock"));

    private static GrpcChannel Open(string path)
    {
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            ActivityHeadersPropagator = null,
            ConnectCallback = async (_, cancellation) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation);
                return new NetworkStream(socket, ownsSocket: true);
            },
        };
        return GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true });
    }
}
