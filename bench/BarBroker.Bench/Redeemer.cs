// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using BarBroker.Linux.Sockets;
using BarBroker.V1;
using Google.Protobuf;

namespace BarBroker.Bench;

/// <summary>Shows tickets on the fd channel and closes what it gets.</summary>
internal sealed class Redeemer : IDisposable
{
    private readonly Socket _socket = FdSocket.Create();
    private readonly byte[] _buffer = new byte[65536];

    public Redeemer(Broker broker) => _socket.Connect(new UnixDomainSocketEndPoint(Path.Combine(broker.RuntimeDirectory, "fd.sock")));

    public async Task RedeemAsync(ByteString ticket)
    {
        var request = new FdRequest { Redeem = new RedeemRequest { Ticket = ticket } };
        if (!FdSocket.TrySend(_socket, request.ToByteArray(), []))
        {
            throw new InvalidOperationException("the fd channel takes no request");
        }

        using var packet = await FdSocket.ReceiveAsync(_socket, _buffer, 8, CancellationToken.None);
        var response = FdResponse.Parser.ParseFrom(_buffer, 0, packet.Length);
        if (response.Delivery is null || packet.Files.Length == 0)
        {
            throw new InvalidOperationException($"no fd for a ticket: {response.Error?.Message}");
        }
    }

    public void Dispose() => _socket.Dispose();
}
