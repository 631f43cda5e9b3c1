// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using BarBroker.Linux;
using BarBroker.Linux.Sockets;
using BarBroker.Testing;
using BarBroker.V1;
using Google.Protobuf;

namespace BarBroker.Tests.FdChannel;

/// <summary>The other end of the fd socket, which sends whatever a test wants.</summary>
internal sealed class FdChannelClient : IDisposable
{
    private readonly byte[] _buffer = new byte[65536];

    public FdChannelClient(string path)
    {
        Socket = FdSocket.Create();
        Socket.Connect(new UnixDomainSocketEndPoint(path));
    }

    public Socket Socket { get; }

    public void Send(ReadOnlySpan<byte> data, params FileDescriptor[] files) => Assert.True(FdSocket.TrySend(Socket, data, files), "the broker's queue is full");

    public void Redeem(ReadOnlyMemory<byte> ticket) =>
        Send(new FdRequest { Redeem = new RedeemRequest { Ticket = ByteString.CopyFrom(ticket.Span) } }.ToByteArray());

    public void Acquire(AcquireRequest request) => Send(new FdRequest { Acquire = request }.ToByteArray());

    public void Cancel(string requestId) => Send(new FdRequest { Cancel = new CancelRequest { RequestId = requestId } }.ToByteArray());

    public void Acknowledge(string leaseId) => Send(new FdRequest { Acknowledge = new AcknowledgeRequest { LeaseId = leaseId } }.ToByteArray());

    /// <summary>The next delivery, whose files are closed, as no test here needs them later.</summary>
    public async Task<Delivery> ReceiveDelivery()
    {
        var (response, packet) = (await Receive("a delivery"))!.Value;
        using (packet)
        {
            Assert.True(response.ResponseCase == FdResponse.ResponseOneofCase.Delivery, $"no delivery: {response}");
            Assert.Equal(response.Delivery.FetchedBefore ? 0 : response.Delivery.Lease.Buffers.Count, packet.Files.Length);
            return response.Delivery;
        }
    }

    /// <summary>The next response with its files, which the caller disposes; null at the end of the connection.</summary>
    public async Task<(FdResponse Response, ReceivedPacket Packet)?> Receive(string what)
    {
        var packet = await Wait.For(FdSocket.ReceiveAsync(Socket, _buffer, 16, CancellationToken.None).AsTask(), what);
        return packet.Length == 0 ? null : (FdResponse.Parser.ParseFrom(_buffer.AsSpan(0, packet.Length)), packet);
    }

    public async Task<FdError> ReceiveError()
    {
        var (response, packet) = (await Receive("an error of the broker"))!.Value;
        Assert.Empty(packet.Files);
        Assert.Equal(FdResponse.ResponseOneofCase.Error, response.ResponseCase);
        return response.Error;
    }

    public async Task<Lease> ReceiveNotice()
    {
        var (response, packet) = (await Receive("a notice"))!.Value;
        Assert.Empty(packet.Files);
        Assert.Equal(FdResponse.ResponseOneofCase.Notice, response.ResponseCase);
        return response.Notice.Lease;
    }

    public async Task AssertClosed() => Assert.Null(await Receive("the broker closing the connection"));

    public void Dispose() => Socket.Dispose();
}
