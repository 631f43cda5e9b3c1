// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Testing;

namespace BarBroker.EndToEnd.Tests.HostileInput;

/// <summary>Bytes for the gRPC sockets that no gRPC client sends.</summary>
internal static class RawConnections
{
    private static readonly byte[] Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray();
    private static readonly byte[] EmptySettings = [0, 0, 0, 4, 0, 0, 0, 0, 0];

    /// <summary>Each is closed by the broker, whatever it answers before.</summary>
    public static async Task AssertGarbageIsClosedAsync(string path)
    {
        var noise = new byte[100_000];
        new Random(20).NextBytes(noise);
        byte[][] garbage =
        [
            [0], [0xff, 0xff, 0xff, 0xff],
            "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"u8.ToArray(),
            "POST /barbroker.v1.LeaseService/Acquire HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n"u8.ToArray(),
            [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00],
            noise,
            Preface[..10],
            [.. Preface, .. noise],
            [.. Preface, .. EmptySettings, .. noise],

            // HEADERS of 16 MiB, on stream 0; CONTINUATION that continues nothing; a window that overflows.
            [.. Preface, .. EmptySettings, 0xff, 0xff, 0xff, 1, 4, 0, 0, 0, 0],
            [.. Preface, .. EmptySettings, 0, 0, 4, 9, 4, 0, 0, 0, 1, 0, 0, 0, 0],
            [.. Preface, .. EmptySettings, 0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff],
        ];
        foreach (byte[] bytes in garbage)
        {
            using var socket = Dial(path);
            await SendAsync(socket, bytes);

            // What waits for more bytes is told that none come.
            socket.Shutdown(SocketShutdown.Send);
            await ReadToEndAsync(socket, $"the broker closes a connection that sent {bytes.Length} bytes of garbage, {Convert.ToHexString(bytes, 0, Math.Min(bytes.Length, 40))}");
        }
    }

    /// <summary>Of many silent connections the broker keeps as many as it has room for and closes the others at once.</summary>
    public static async Task AssertLimitAsync(string path, int room, int count)
    {
        var sockets = new List<Socket>();
        try
        {
            for (int i = 0; i < count; i++)
            {
                sockets.Add(Dial(path));
            }

            await Wait.Until(() => sockets.Count(IsClosed) == count - room, $"{count - room} of {count} connections are closed", Patience.Long);
        }
        finally
        {
            sockets.ForEach(socket => socket.Dispose());
        }

        await Wait.Until(() => IsServed(path), "the closed connections are no longer counted", Patience.Long);
    }

    public static Socket Dial(string path)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Connect(new UnixDomainSocketEndPoint(path));
        return socket;
    }

    private static async Task<bool> IsServed(string path)
    {
        using var rpc = RpcClient.Dial(path);
        try
        {
            await rpc.Leases.ListDevicesAsync(new V1.ListDevicesRequest());
            return true;
        }
        catch (Grpc.Core.RpcException exception)
        {
            // The operator socket has no such service, and says so.
            return exception.StatusCode == Grpc.Core.StatusCode.Unimplemented;
        }
    }

    /// <summary>An HTTP/2 server speaks first: what was said before the end does not matter.</summary>
    private static bool IsClosed(Socket socket)
    {
        var buffer = new byte[4096];
        try
        {
            while (socket.Poll(0, SelectMode.SelectRead))
            {
                if (socket.Receive(buffer) == 0)
                {
                    return true;
                }
            }

            return false;
        }
        catch (SocketException)
        {
            return true;
        }
    }

    private static async Task SendAsync(Socket socket, byte[] bytes)
    {
        try
        {
            for (int sent = 0; sent < bytes.Length;)
            {
                sent += await socket.SendAsync(bytes.AsMemory(sent));
            }
        }
        catch (SocketException exception) when (exception.SocketErrorCode is SocketError.ConnectionReset or SocketError.Shutdown)
        {
            // Closed before all of it was sent.
        }
    }

    private static async Task ReadToEndAsync(Socket socket, string what)
    {
        var buffer = new byte[4096];
        try
        {
            while (await Wait.For(socket.ReceiveAsync(buffer), what, Patience.Long) > 0)
            {
            }
        }
        catch (SocketException exception) when (exception.SocketErrorCode == SocketError.ConnectionReset)
        {
            // As good as an end.
        }
    }
}
