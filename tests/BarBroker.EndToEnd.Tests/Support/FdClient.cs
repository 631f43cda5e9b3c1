// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using BarBroker.Linux;
using BarBroker.Linux.Sockets;
using BarBroker.Testing;
using BarBroker.V1;
using Google.Protobuf;

namespace BarBroker.EndToEnd.Tests.Support;

/// <summary>A connection to the fd socket that sends whatever the test wants.</summary>
internal sealed class FdClient : IDisposable
{
    private readonly Socket _socket;

    public FdClient(string path)
    {
        _socket = FdSocket.Create();
        _socket.Connect(new UnixDomainSocketEndPoint(path));
    }

    /// <param name="connected">By another process, whom the broker takes for the caller.</param>
    public FdClient(Socket connected) => _socket = connected;

    public bool TrySend(ReadOnlySpan<byte> packet, params ReadOnlySpan<FileDescriptor> files) => FdSocket.TrySend(_socket, packet, files);

    /// <summary>Null: the broker has closed the connection. Received fds are closed.</summary>
    public async Task<FdResponse?> ReceiveAsync()
    {
        var buffer = new byte[70_000];
        try
        {
            using var packet = await Wait.For(FdSocket.ReceiveAsync(_socket, buffer, 16, CancellationToken.None).AsTask(), "the fd channel answers or closes", Patience.Long);
            return packet.Length == 0 ? null : FdResponse.Parser.ParseFrom(buffer, 0, packet.Length);
        }
        catch (Exception exception) when (exception is LinuxException { Errno: Errno.ECONNRESET } or SocketException { SocketErrorCode: SocketError.ConnectionReset })
        {
            return null;
        }
    }

    public async Task<FdResponse?> AskAsync(byte[] packet, params FileDescriptor[] files)
    {
        try
        {
            Assert.True(TrySend(packet, files), "the fd socket takes no packet");
        }
        catch (LinuxException exception) when (exception.Errno is Errno.EPIPE or Errno.ECONNRESET)
        {
            // Refused at once. Why is there to be read.
        }

        return await ReceiveAsync();
    }

    public static byte[] Packet(ByteString ticket) => new FdRequest { Redeem = new RedeemRequest { Ticket = ticket } }.ToByteArray();

    public static byte[] Acquire(AcquireRequest request, string requestId) => new FdRequest { Acquire = new AcquireRequest(request) { RequestId = requestId } }.ToByteArray();

    /// <summary>Shows a ticket on a connection of its own and gives the answer, empty if there was none; the fds, if any came, are closed.</summary>
    public static async Task<FdResponse> RedeemAsync(string path, ByteString ticket)
    {
        using var client = new FdClient(path);
        return await client.AskAsync(Packet(ticket)) ?? new FdResponse();
    }

    public void Dispose() => _socket.Dispose();
}
