// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using System.Net.Sockets;
using BarBroker.Linux;
using BarBroker.Linux.Sockets;
using BarBroker.Testing;
using BarBroker.V1;
using Google.Protobuf;

namespace BarBroker.Client.Tests;

/// <summary>
/// Stands between a client and the broker's fd socket, in this process, which so is the one that the broker sees: its connections can be broken, and some requests answered in another way.
/// The gRPC socket is the broker's own.
/// </summary>
internal sealed class FdRelay : IAsyncDisposable
{
    private readonly TestDirectory _directory = new();
    private readonly Socket _listener = FdSocket.Create();
    private readonly string _target;
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentBag<Socket> _sockets = [];
    private readonly ConcurrentBag<Task> _pumps = [];
    private readonly Task _accepting;
    private int _connections;

    public FdRelay(BrokerProcess broker)
    {
        _target = BrokerPaths.FdSocket(broker.RuntimeDirectory);
        File.CreateSymbolicLink(BrokerPaths.ClientSocket(RuntimeDirectory), BrokerPaths.ClientSocket(broker.RuntimeDirectory));
        _listener.Bind(new UnixDomainSocketEndPoint(BrokerPaths.FdSocket(RuntimeDirectory)));
        _listener.Listen();
        _accepting = AcceptAsync();
    }

    public string RuntimeDirectory => _directory.Path;

    /// <summary>What is answered instead of passing the request on, before the connection is closed; null: it is passed on.</summary>
    public Func<FdRequest, FdResponse?> Refuse { get; set; } = static _ => null;

    public ConcurrentQueue<FdRequest> Requests { get; } = new();

    public ConcurrentQueue<FdResponse> Responses { get; } = new();

    public int Connections => Volatile.Read(ref _connections);

    /// <summary>The connections there are. New ones are accepted.</summary>
    public void Break()
    {
        while (_sockets.TryTake(out var socket))
        {
            Shut(socket);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _accepting;
        Break();
        await Task.WhenAll(_pumps);
        _listener.Dispose();
        _stop.Dispose();
        _directory.Dispose();
    }

    private static void Shut(Socket socket)
    {
        try
        {
            socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // Closed already.
        }
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptAsync(_stop.Token);
                var broker = FdSocket.Create();
                await broker.ConnectAsync(new UnixDomainSocketEndPoint(_target), _stop.Token);
                Interlocked.Increment(ref _connections);
                _sockets.Add(client);
                _sockets.Add(broker);
                _pumps.Add(RunAsync(client, broker));
            }
        }
        catch (OperationCanceledException)
        {
            // Over.
        }
    }

    private async Task RunAsync(Socket client, Socket broker)
    {
        await Task.WhenAll(PumpAsync(client, broker, Requested), PumpAsync(broker, client, Responded));
        client.Dispose();
        broker.Dispose();

        bool Requested(byte[] packet, int length)
        {
            var request = FdRequest.Parser.ParseFrom(packet, 0, length);
            Requests.Enqueue(request);
            if (Refuse(request) is not { } answer)
            {
                return true;
            }

            FdSocket.TrySend(client, answer.ToByteArray(), []);
            return false;
        }

        bool Responded(byte[] packet, int length)
        {
            Responses.Enqueue(FdResponse.Parser.ParseFrom(packet, 0, length));
            return true;
        }
    }

    private static async Task PumpAsync(Socket from, Socket to, Func<byte[], int, bool> passes)
    {
        byte[] buffer = new byte[70_000];
        try
        {
            while (true)
            {
                using var packet = await FdSocket.ReceiveAsync(from, buffer, 16, CancellationToken.None);
                if (packet.Length == 0 || !passes(buffer, packet.Length) || !FdSocket.TrySend(to, buffer.AsSpan(0, packet.Length), [.. packet.Files]))
                {
                    break;
                }
            }
        }
        catch (Exception exception) when (exception is SocketException or LinuxException or ObjectDisposedException)
        {
            // One end is gone; so is the other, then.
        }

        Shut(from);
        Shut(to);
    }
}
