// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using BarBroker.Cli.Tracing;
using BarBroker.Client;
using BarBroker.V1;
using Grpc.Net.Client;

namespace BarBroker.Cli.Commands;

/// <summary>The operator socket, opened to see that it may be.</summary>
internal sealed class OperatorConnection : IDisposable
{
    private readonly GrpcChannel _channel;

    private OperatorConnection(string socketPath)
    {
        SocketPath = socketPath;
        _channel = BrokerChannel.Open(socketPath);
        Service = new OperatorService.OperatorServiceClient(CommandTrace.Through(_channel));
    }

    public string SocketPath { get; }

    public OperatorService.OperatorServiceClient Service { get; }

    /// <exception cref="BrokerUnavailableException">Nobody accepts, or this user may not.</exception>
    public static async Task<OperatorConnection> OpenAsync(string runtimeDirectory, CancellationToken cancellation)
    {
        string path = BrokerPaths.OperatorSocket(runtimeDirectory);
        await ProbeAsync(path, cancellation);
        return new OperatorConnection(path);
    }

    /// <summary>Null where the socket may not be opened, or is not there beside one for clients.</summary>
    public static async Task<OperatorConnection?> TryOpenAsync(string runtimeDirectory, CancellationToken cancellation)
    {
        try
        {
            return await OpenAsync(runtimeDirectory, cancellation);
        }
        catch (BrokerUnavailableException exception) when (exception.IsAccessDenied)
        {
            return null;
        }
    }

    public void Dispose() => _channel.Dispose();

    private static async Task ProbeAsync(string path, CancellationToken cancellation)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(BrokerChannel.Address(path), cancellation);
        }
        catch (SocketException exception)
        {
            throw BrokerUnavailableException.From(path, exception);
        }
    }
}
