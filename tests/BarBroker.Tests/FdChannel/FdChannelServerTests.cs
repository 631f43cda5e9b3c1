// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Devices.Simulated;
using BarBroker.FdChannel;
using BarBroker.Leases;
using BarBroker.Linux;
using BarBroker.Linux.Memory;
using BarBroker.Linux.Sockets;
using BarBroker.Testing;
using BarBroker.V1;
using Google.Protobuf;
using AcquireRequest = BarBroker.Leases.AcquireRequest;
using BufferRequest = BarBroker.Leases.BufferRequest;
using EndReason = BarBroker.Leases.EndReason;
using MemoryAttribute = BarBroker.Devices.MemoryAttribute;

namespace BarBroker.Tests.FdChannel;

[Collection(typeof(Alone))]
public sealed class FdChannelServerTests : FdChannelTestBase
{
    private const int InvalidArgument = 3;
    private const int NotFound = 5;
    private const int ResourceExhausted = 8;
    private const int FailedPrecondition = 9;
    private const int ConnectionsPerUid = 8;

    private static readonly byte[] UnknownTicket = new FdRequest { Redeem = new RedeemRequest { Ticket = ByteString.CopyFrom(new byte[16]) } }.ToByteArray();

    private readonly LeaseOwner _owner = new(Users.EffectiveUid, 0, Environment.ProcessId, "test");

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        await StartAsync(
            new LeaseOptions { EndedLeasesKept = 4 },
            new FdChannelOptions { ConnectionsPerUid = ConnectionsPerUid },
            new DeviceRegistration(new SimulatedDevice(new SimulatedDeviceOptions("sim0", [new(0, 64 * 4096)]))));
    }

    [Fact]
    public async Task Redeem_TwoBuffers_DeliversLeaseAndFdsInOrder()
    {
        var client = Connect();
        var grant = await Acquire(_owner, 4096, 8192);

        client.Redeem(grant.Ticket);
        var (response, packet) = (await client.Receive("the delivery"))!.Value;

        using (packet)
        {
            var lease = response.Delivery.Lease;
            Assert.Equal((grant.Lease.Id, V1.LeaseState.Active), (lease.Id, lease.State));
            Assert.Equal([4096, 8192], packet.Files.Select(file => file.GetSize()));
            Assert.Equal(lease.Buffers.Select(buffer => buffer.Size), packet.Files.Select(file => file.GetSize()));
        }
    }

    [Fact]
    public async Task Redeem_LeaseEnds_NoticesComeInOrderAndAccessIsOver()
    {
        var client = Connect();
        var grant = await Acquire(_owner, 4096);
        using var packet = await Deliver(client, grant);

        await Leases.EndAsync(grant.Lease.Id, EndReason.Operator, "test", Cancellation);

        var states = new List<V1.LeaseState>();
        while (!states.Contains(V1.LeaseState.Ended))
        {
            var lease = await client.ReceiveNotice();
            Assert.Equal(grant.Lease.Id, lease.Id);
            Assert.Equal(V1.EndReason.Operator, lease.EndReason);
            states.Add(lease.State);
        }

        Assert.Equal(states.Order(Comparer<V1.LeaseState>.Create((left, right) => left.CompareTo(right))), states);
        Assert.Equal(0ul, packet.Files[0].GetSize());
    }

    [Fact]
    public async Task Acknowledge_RecalledLease_IsShownAndAnsweredByNothing()
    {
        var client = Connect();
        var grant = await Acquire(_owner, 4096);
        using var packet = await Deliver(client, grant);
        client.Acknowledge(grant.Lease.Id);
        client.Acknowledge("ls-none");
        client.Acknowledge("");

        Leases.Recall(grant.Lease.Id, TimeSpan.FromMinutes(1), EndReason.Operator, "why");

        var notice = await client.ReceiveNotice();
        Assert.Equal((V1.LeaseState.Recalled, V1.EndReason.Operator, "why", false), (notice.State, notice.RecallReason, notice.RecallDetail, notice.RecallAcknowledged));
        client.Acknowledge(grant.Lease.Id);
        await Wait.Until(() => Leases.Get(grant.Lease.Id).RecallAcknowledged, "the recall is acknowledged");
        Assert.InRange(Leases.Get(grant.Lease.Id).RecallRemaining!.Value, TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(1));
        Leases.End(grant.Lease.Id, EndReason.Released, "");
        Assert.Contains((await client.ReceiveNotice()).State, new[] { V1.LeaseState.Revoking, V1.LeaseState.Ended });
    }

    [Fact]
    public async Task Acknowledge_LeaseOfAnotherUid_IsIgnored()
    {
        var client = Connect();
        var grant = await Acquire(new LeaseOwner(Users.EffectiveUid + 1, 0, Environment.ProcessId, "other"), 4096);
        Leases.Recall(grant.Lease.Id, TimeSpan.FromMinutes(1), EndReason.Operator, "");

        client.Acknowledge(grant.Lease.Id);
        client.Send(UnknownTicket);

        Assert.Equal(NotFound, (int)(await client.ReceiveError()).Code);
        Assert.False(Leases.Get(grant.Lease.Id).RecallAcknowledged);
    }

    [Fact]
    public async Task Redeem_TwoClients_EachIsToldOfItsOwnLeaseOnly()
    {
        var (first, second) = (Connect(), Connect());
        var (one, two) = (await Acquire(_owner, 4096), await Acquire(_owner, 4096));
        using var firstPacket = await Deliver(first, one);
        using var secondPacket = await Deliver(second, two);

        await Leases.EndAsync(one.Lease.Id, EndReason.Operator, "", Cancellation);
        await Leases.EndAsync(two.Lease.Id, EndReason.Operator, "", Cancellation);

        Assert.Equal(one.Lease.Id, (await first.ReceiveNotice()).Id);
        Assert.Equal(two.Lease.Id, (await second.ReceiveNotice()).Id);
    }

    [Fact]
    public async Task Redeem_WrongTickets_AreNotFoundAndTheConnectionLives()
    {
        var client = Connect();
        var grant = await Acquire(_owner, 4096);
        var ofOtherUid = await Acquire(new LeaseOwner(_owner.Uid + 1, 0, 1, "other"), 4096);

        var messages = new HashSet<string>();
        foreach (byte[] ticket in new[] { new byte[16], [], new byte[1], new byte[60_000], ofOtherUid.Ticket.ToArray() })
        {
            client.Redeem(ticket);
            var error = await client.ReceiveError();
            Assert.Equal((NotFound, false), ((int)error.Code, error.Closing));
            messages.Add(error.Message);
        }

        Assert.Single(messages);
        using var packet = await Deliver(client, grant);
    }

    [Fact]
    public async Task Redeem_UsedTicket_IsNotFound()
    {
        var client = Connect();
        var grant = await Acquire(_owner, 4096);
        using var packet = await Deliver(client, grant);

        client.Redeem(grant.Ticket);

        Assert.Equal(NotFound, (int)(await client.ReceiveError()).Code);
    }

    [Fact]
    public async Task Redeem_LeaseEndedBefore_IsRefused()
    {
        var client = Connect();
        var grant = await Acquire(_owner, 4096);
        await Leases.EndAsync(grant.Lease.Id, EndReason.Operator, "", Cancellation);

        client.Redeem(grant.Ticket);

        var error = await client.ReceiveError();
        Assert.Contains((int)error.Code, new[] { NotFound, FailedPrecondition });
        Assert.False(error.Closing);
    }

    [Fact]
    public async Task Redeem_RevokedAtTheSameMoment_IsDeliveredDeadOrRefused()
    {
        var client = Connect();
        for (int i = 0; i < 200; i++)
        {
            var grant = await Acquire(_owner, 4096);
            var ending = Task.Run(() => Leases.EndAsync(grant.Lease.Id, EndReason.Operator, "", Cancellation), Cancellation);
            client.Redeem(grant.Ticket);

            FdResponse? answer = null;
            while (answer is null or { ResponseCase: FdResponse.ResponseOneofCase.Notice })
            {
                var (response, packet) = (await client.Receive("the answer to a ticket"))!.Value;
                answer = response;
                await Wait.For(ending, "the end of the lease");
                Assert.All(packet.Files, file => Assert.Equal(0ul, file.GetSize()));
                packet.Dispose();
            }

            if (answer.ResponseCase == FdResponse.ResponseOneofCase.Delivery)
            {
                while ((await client.ReceiveNotice()).State != V1.LeaseState.Ended)
                {
                }
            }
            else
            {
                Assert.Contains((int)answer.Error.Code, new[] { NotFound, FailedPrecondition });
            }
        }
    }

    [Fact]
    public async Task Redeem_EndsBeforeTheDelivery_EndIsToldAllTheSame()
    {
        using var subscription = Leases.Subscribe(new EndsWhatBecomesActive(Leases));
        var client = Connect();
        for (int i = 0; i < 20; i++)
        {
            var grant = await Acquire(_owner, 4096);
            client.Redeem(grant.Ticket);

            var (response, packet) = (await client.Receive("the answer to a ticket"))!.Value;
            packet.Dispose();
            if (response.ResponseCase == FdResponse.ResponseOneofCase.Error)
            {
                Assert.Equal(FailedPrecondition, (int)response.Error.Code);
                continue;
            }

            V1.Lease notice;
            do
            {
                notice = await client.ReceiveNotice();
                Assert.Equal(grant.Lease.Id, notice.Id);
            }
            while (notice.State != V1.LeaseState.Ended);
        }
    }

    [Theory]
    [InlineData("garbage")]
    [InlineData("empty")]
    [InlineData("unknown")]
    [InlineData("too long")]
    [InlineData("cut off")]
    public async Task Request_Malformed_IsAnsweredAndClosed(string kind)
    {
        var client = Connect();

        client.Send(kind switch
        {
            "garbage" => [0xff, 0xff, 0xff, 0xff, 0xff],
            "empty" => [],
            "unknown" => [0x7a, 0x01, 0x00],
            "too long" => new byte[65537],
            _ => new FdRequest { Redeem = new RedeemRequest { Ticket = ByteString.CopyFrom(new byte[16]) } }.ToByteArray()[..^3],
        });

        var error = await client.ReceiveError();
        Assert.Equal((InvalidArgument, true), ((int)error.Code, error.Closing));
        Assert.NotEmpty(error.Message);
        await client.AssertClosed();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(253)]
    public async Task Request_WithFiles_IsRefusedAndTheyAreClosed(int count)
    {
        var client = Connect();
        var grant = await Acquire(_owner, 4096);
        using var file = Memfd.Create("hostile", 1);
        var request = new FdRequest { Redeem = new RedeemRequest { Ticket = ByteString.CopyFrom(grant.Ticket.Span) } };

        client.Send(request.ToByteArray(), [.. Enumerable.Repeat<FileDescriptor>(file, count)]);

        Assert.Equal(InvalidArgument, (int)(await client.ReceiveError()).Code);
        await client.AssertClosed();
        Assert.Equal(1, OpenFiles.Now().Count("hostile"));
    }

    [Fact]
    public async Task Request_MorePacketsBehindAMalformedOne_ErrorStillArrives()
    {
        for (int i = 0; i < 50; i++)
        {
            using var client = new FdChannelClient(SocketPath);
            client.Send([0xff]);
            try
            {
                while (FdSocket.TrySend(client.Socket, new byte[1000], []))
                {
                }
            }
            catch (LinuxException exception) when (exception.Errno == Errno.EPIPE)
            {
                // Closed already; what was answered before is there to be read.
            }

            Assert.Equal(InvalidArgument, (int)(await client.ReceiveError()).Code);
            await client.AssertClosed();
        }
    }

    [Fact]
    public async Task Client_FloodsWithoutReading_IsDisconnectedAndOthersAreServed()
    {
        var hostile = Connect();
        var held = await Acquire(_owner, 4096);
        using (var packet = await Deliver(hostile, held))
        {
        }

        await Wait.Until(() => HasBeenCutOff(hostile), "the flooding client cut off");

        await Logs.WaitFor(3008);
        Assert.Equal(BarBroker.Leases.LeaseState.Active, Leases.Get(held.Lease.Id).State);
        using var other = await Deliver(Connect(), await Acquire(_owner, 4096));
    }

    [Fact]
    public async Task Client_HasNoRoomForItsDelivery_LeaseEndsAndItIsDisconnected()
    {
        int room = await MeasureRoomForAnswers();
        var client = Connect();
        var grant = await Acquire(_owner, 4096);
        int refusedBefore = Logs.Entries.Count(entry => entry.Event.Id == 3006);
        for (int sent = 0; sent < room;)
        {
            await Wait.Until(() => FdSocket.TrySend(client.Socket, UnknownTicket, []), "room for a request");
            sent++;
        }

        await Wait.Until(() => Logs.Entries.Count(entry => entry.Event.Id == 3006) == refusedBefore + room, "every request answered");
        client.Redeem(grant.Ticket);

        await Logs.WaitFor(3007);
        var lease = await Wait.For(Leases.WaitEndedAsync(grant.Lease.Id, Cancellation), "the lease that nobody got to end");
        Assert.Equal((BarBroker.Leases.LeaseState.Ended, EndReason.TicketExpired), (lease.State, lease.EndReason));
        Assert.Contains("delivery failed", lease.EndDetail, StringComparison.Ordinal);
        Assert.Equal(room, await CountAnswers(client));
    }

    [Fact]
    public async Task Connect_PastTheLimit_IsRefusedUntilOneCloses()
    {
        var clients = new List<FdChannelClient>();
        for (int i = 0; i < ConnectionsPerUid; i++)
        {
            clients.Add(Connect());
        }

        for (int i = 0; i < 100; i++)
        {
            using var refused = new FdChannelClient(SocketPath);
            var error = await refused.ReceiveError();
            Assert.Equal((ResourceExhausted, true), ((int)error.Code, error.Closing));
            await refused.AssertClosed();
        }

        clients[0].Dispose();
        await Wait.Until(IsAdmitted, "a place free after one closed");
    }

    [Fact]
    public async Task Client_Closes_LeaseLives()
    {
        var grant = await Acquire(_owner, 4096);
        using (var client = new FdChannelClient(SocketPath))
        using (await Deliver(client, grant))
        {
        }

        await Logs.WaitFor(3002);
        Assert.Equal(BarBroker.Leases.LeaseState.Active, Leases.Get(grant.Lease.Id).State);
        await Leases.EndAsync(grant.Lease.Id, EndReason.Operator, "", Cancellation);
    }

    private async Task<Grant> Acquire(LeaseOwner owner, params ulong[] sizes) => await Leases.AcquireAsync(
        new AcquireRequest(
            "sim0",
            [.. sizes.Select(size => new BufferRequest(0, [], size))],
            BufferAccess.ReadWrite,
            MemoryAttribute.NonCached,
            null,
            null,
            ImmutableDictionary<string, string>.Empty,
            ""),
        owner,
        Cancellation);

    private static async Task<ReceivedPacket> Deliver(FdChannelClient client, Grant grant)
    {
        client.Redeem(grant.Ticket);
        var (response, packet) = (await client.Receive("the delivery"))!.Value;
        Assert.Equal(grant.Lease.Id, response.Delivery?.Lease.Id);
        return packet;
    }

    /// <summary>How many answers the broker's socket takes before a client counts as one that does not read.</summary>
    private async Task<int> MeasureRoomForAnswers()
    {
        var client = Connect();
        await Wait.Until(() => HasBeenCutOff(client), "a client that does not read cut off");
        return await CountAnswers(client);
    }

    private static async Task<int> CountAnswers(FdChannelClient client)
    {
        int count = 0;
        while (await client.Receive("an answer, or the end") is not null)
        {
            count++;
        }

        return count;
    }

    private static bool HasBeenCutOff(FdChannelClient client)
    {
        try
        {
            for (int i = 0; i < 100; i++)
            {
                FdSocket.TrySend(client.Socket, UnknownTicket, []);
            }

            return false;
        }
        catch (LinuxException)
        {
            return true;
        }
    }

    private async Task<bool> IsAdmitted()
    {
        using var client = new FdChannelClient(SocketPath);
        var error = client.ReceiveError();
        try
        {
            client.Send(UnknownTicket);
        }
        catch (LinuxException)
        {
            // Refused and closed already.
        }

        return (await error).Code == NotFound;
    }
}
