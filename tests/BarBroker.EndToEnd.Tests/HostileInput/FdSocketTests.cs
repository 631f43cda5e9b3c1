// SPDX-License-Identifier: Apache-2.0

using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Linux;
using BarBroker.Linux.Memory;
using BarBroker.V1;
using Google.Protobuf;
using Grpc.Core;

namespace BarBroker.EndToEnd.Tests.HostileInput;

public sealed class FdSocketTests : HostileTestBase
{
    private const uint InvalidArgument = (uint)StatusCode.InvalidArgument;
    private const uint NotFound = (uint)StatusCode.NotFound;

    public static TheoryData<string, byte[]> Malformed => new()
    {
        { "empty", [] },
        { "one byte", [0xff] },
        { "no protobuf", "GET / HTTP/1.1\r\n\r\n"u8.ToArray() },
        { "length past the end", [0x0a, 0x7f, 0x0a] },
        { "length of 4 GiB", [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f] },
        { "no request", [0x78, 0x01] },
        { "64 KiB of zeros", new byte[64 << 10] },
        { "64 KiB and a byte", new byte[(64 << 10) + 1] },
        { "a valid request in 64 KiB and a byte", [.. FdClient.Packet(ByteString.CopyFrom(new byte[(64 << 10) - 7]))] },
    };

    [Theory]
    [MemberData(nameof(Malformed), DisableDiscoveryEnumeration = true)]
    public async Task Packet_Malformed_IsAnsweredAndTheConnectionClosed(string what, byte[] packet)
    {
        using var client = new FdClient(Broker.FdSocket);

        var answer = await client.AskAsync(packet);

        Assert.True(answer?.Error is { Code: InvalidArgument, Closing: true, Message.Length: > 0 }, $"{what}: {answer}");
        Assert.Null(await client.ReceiveAsync());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(253)]
    public async Task Packet_WithFds_IsAnsweredAndTheConnectionClosed(int count)
    {
        var granted = await AcquireAsync();
        using var file = Memfd.Create("hostile", 4096);
        using var client = new FdClient(Broker.FdSocket);

        var answer = await client.AskAsync(FdClient.Packet(granted.Ticket), [.. Enumerable.Repeat<FileDescriptor>(file, count)]);

        Assert.True(answer?.Error is { Code: InvalidArgument, Closing: true }, $"{answer}");
        Assert.Null(await client.ReceiveAsync());
        Assert.NotNull((await FdClient.RedeemAsync(Broker.FdSocket, granted.Ticket)).Delivery);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(15)]
    [InlineData(16)]
    [InlineData(17)]
    [InlineData(60_000)]
    public async Task Ticket_Wrong_IsNotFoundAndTheConnectionGoesOn(int length)
    {
        var granted = await AcquireAsync();
        using var client = new FdClient(Broker.FdSocket);

        var answer = await client.AskAsync(FdClient.Packet(ByteString.CopyFrom(new byte[length])));

        Assert.True(answer?.Error is { Code: NotFound, Closing: false }, $"{answer}");
        Assert.Equal(granted.Lease.Id, (await client.AskAsync(FdClient.Packet(granted.Ticket)))?.Delivery?.Lease.Id);
    }

    [Fact]
    public async Task Ticket_Used_IsNotFound()
    {
        var granted = await AcquireAsync();
        Assert.NotNull((await FdClient.RedeemAsync(Broker.FdSocket, granted.Ticket)).Delivery);

        var again = await FdClient.RedeemAsync(Broker.FdSocket, granted.Ticket);

        Assert.True(again.Error is { Code: NotFound, Closing: false }, $"{again}");
        Assert.Equal(LeaseState.Active, (await GetAsync(granted.Lease.Id)).State);
    }

    [Fact]
    public async Task Ticket_OfAnotherUid_IsNotFoundAndStaysGoodForItsOwner()
    {
        var stranger = await StartStrangerAsync("stranger");
        await using var theirs = await LeaseHolder.AcquireAsync(Broker, stranger, new AcquireRequest { Buffers = { new BufferRequest { Size = 4096 } } });
        Assert.Equal(65534u, theirs.Lease.Owner.Uid);
        var ours = await AcquireAsync();

        var stolen = await FdClient.RedeemAsync(Broker.FdSocket, theirs.Ticket);
        string theft = await stranger.AskAsync($"show {Broker.FdSocket} {LeaseHolder.RedeemPacket(ours.Ticket)}");

        Assert.True(stolen.Error is { Code: NotFound, Closing: false }, $"{stolen}");
        var answer = FdResponse.Parser.ParseFrom(Convert.FromHexString(theft));
        Assert.True(answer.Error is { Code: NotFound, Closing: false }, $"{answer}");
        Assert.NotNull((await FdClient.RedeemAsync(Broker.FdSocket, ours.Ticket)).Delivery);
        await stranger.AskAsync($"redeem {Broker.FdSocket} {LeaseHolder.RedeemPacket(theirs.Ticket)}");
    }

    [Fact]
    public async Task Client_ThatNeverReads_IsDisconnectedAndItsLeaseLivesOn()
    {
        var granted = await AcquireAsync();
        using var client = new FdClient(Broker.FdSocket);
        Assert.NotNull((await client.AskAsync(FdClient.Packet(granted.Ticket)))?.Delivery);
        byte[] packet = FdClient.Packet(RandomTicket());

        // Until the broker hangs up. While its queue is full there is nothing to do but to try again.
        var flood = await Assert.ThrowsAsync<LinuxException>(async () => await Testing.Wait.Until(
            () =>
            {
                while (client.TrySend(packet))
                {
                }

                return false;
            },
            "a client that sends and does not read is disconnected",
            Patience.Long));

        Assert.Contains(flood.Errno, new[] { Errno.EPIPE, Errno.ECONNRESET });
        Assert.Equal(LeaseState.Active, (await GetAsync(granted.Lease.Id)).State);
    }

    [Fact]
    public async Task Connections_Hundreds_AreRefusedBeyondTheLimit()
    {
        const int Count = 300;
        var clients = new List<FdClient>();
        int served = 0, refused = 0;
        try
        {
            for (int i = 0; i < Count; i++)
            {
                clients.Add(new FdClient(Broker.FdSocket));
            }

            foreach (var client in clients)
            {
                // Refused ones are told before they ask, and may be closed before they have asked.
                bool asked = TryAsk(client);
                var answer = await client.ReceiveAsync();
                Assert.True(asked || answer is { Error.Closing: true }, $"{answer}");
                served += answer?.Error is { Code: NotFound, Closing: false } ? 1 : 0;
                refused += answer?.Error is { Code: (uint)StatusCode.ResourceExhausted, Closing: true } ? 1 : 0;
            }
        }
        finally
        {
            clients.ForEach(client => client.Dispose());
        }

        // One is the citizen's.
        Assert.Equal((ConnectionsPerUid - 1, Count - ConnectionsPerUid + 1), (served, refused));
        var granted = await AcquireAsync();
        await Testing.Wait.Until(
            async () => (await FdClient.RedeemAsync(Broker.FdSocket, granted.Ticket)).Delivery is not null, "the closed connections are no longer counted", Patience.Long);
    }

    [Fact]
    public async Task Connections_ThatCloseAtOnce_LeaveNothing()
    {
        for (int i = 0; i < 500; i++)
        {
            using var client = new FdClient(Broker.FdSocket);
            if (i % 2 == 0)
            {
                TryAsk(client);
            }
        }

        var granted = await AcquireAsync();
        await Testing.Wait.Until(
            async () => (await FdClient.RedeemAsync(Broker.FdSocket, granted.Ticket)).Delivery is not null, "a ticket is taken after 500 connections that closed at once", Patience.Long);
    }

    /// <summary>False: refused already.</summary>
    private static bool TryAsk(FdClient client)
    {
        try
        {
            return client.TrySend(FdClient.Packet(ByteString.Empty));
        }
        catch (LinuxException)
        {
            return false;
        }
    }
}
