// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Devices.Simulated;
using BarBroker.FdChannel;
using BarBroker.Leases;
using BarBroker.Linux;
using BarBroker.Linux.Memory;
using BarBroker.Linux.Processes;
using BarBroker.Linux.Sockets;
using BarBroker.Testing;
using BarBroker.V1;
using Google.Protobuf;
using Grpc.Core;
using AcquireRequest = BarBroker.Leases.AcquireRequest;
using BufferRequest = BarBroker.Leases.BufferRequest;
using EndReason = BarBroker.Leases.EndReason;
using LeaseState = BarBroker.Leases.LeaseState;
using MemoryAttribute = BarBroker.Devices.MemoryAttribute;

namespace BarBroker.Tests.FdChannel;

/// <summary>Notices of leases that came over another connection.</summary>
[Collection(typeof(Alone))]
public sealed class FdChannelFollowTests : FdChannelTestBase
{
    private const int NotFound = (int)StatusCode.NotFound;

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        await StartAsync(
            new LeaseOptions { EndedLeasesKept = 4 },
            new FdChannelOptions { ConnectionsPerUid = 128 },
            new DeviceRegistration(new SimulatedDevice(new SimulatedDeviceOptions("sim0", [new(0, 64 * 4096)]))));
    }

    [Fact]
    public async Task Follow_OwnLeaseOfAClosedConnection_NoticesComeAndAreAcknowledgedHere()
    {
        string lease = await AcquireAndClose();
        var client = Connect();

        Assert.Equal([0], await Follow(client, lease));

        Leases.Recall(lease, TimeSpan.FromMinutes(1), EndReason.Operator, "why");
        var notice = await client.ReceiveNotice();
        Assert.Equal((lease, V1.LeaseState.Recalled, "why"), (notice.Id, notice.State, notice.RecallDetail));
        client.Acknowledge(lease);
        await Wait.Until(() => Leases.Get(lease).RecallAcknowledged, "the recall is acknowledged");
        Leases.End(lease, EndReason.Operator, "");
        await ReceiveEnd(client, lease);
    }

    [Fact]
    public async Task Follow_RecalledBefore_IsToldAtOnce()
    {
        string lease = await AcquireAndClose();
        Leases.Recall(lease, TimeSpan.FromMinutes(1), EndReason.Preempted, "");
        var client = Connect();

        Assert.Equal([0], await Follow(client, lease));

        var notice = await client.ReceiveNotice();
        Assert.Equal((lease, V1.LeaseState.Recalled, V1.EndReason.Preempted), (notice.Id, notice.State, notice.RecallReason));
    }

    [Fact]
    public async Task Follow_EndedBefore_IsToldAtOnce()
    {
        string lease = await AcquireAndClose();
        await Leases.EndAsync(lease, EndReason.Operator, "gone", Cancellation);
        var client = Connect();

        Assert.Equal([0], await Follow(client, lease));

        var notice = await client.ReceiveNotice();
        Assert.Equal((lease, V1.LeaseState.Ended, V1.EndReason.Operator, "gone"), (notice.Id, notice.State, notice.EndReason, notice.EndDetail));
    }

    [Fact]
    public async Task Follow_SameIdManyTimesInARequest_IsToldOnce()
    {
        string lease = await AcquireAndClose();
        Leases.Recall(lease, TimeSpan.FromMinutes(1), EndReason.Operator, "");
        var client = Connect();

        Assert.Equal(Enumerable.Repeat(0, 256), await Follow(client, [.. Enumerable.Repeat(lease, 256)]));

        Assert.Equal(V1.LeaseState.Recalled, (await client.ReceiveNotice()).State);
        await AssertNothingIsTold(client);
    }

    [Fact]
    public async Task Follow_LeaseOfAnotherOpenConnection_IsToldHereOnly()
    {
        var (first, second) = (Connect(), Connect());
        string lease = await Acquire(first);
        Assert.Equal([0], await Follow(second, lease));

        Leases.Recall(lease, TimeSpan.FromMinutes(1), EndReason.Operator, "");

        Assert.Equal(lease, (await second.ReceiveNotice()).Id);
        await AssertNothingIsTold(first);

        // And back, also when the one that had it meanwhile is closed.
        Assert.Equal([0], await Follow(first, lease));
        Assert.Equal(V1.LeaseState.Recalled, (await first.ReceiveNotice()).State);
        second.Dispose();
        await Logs.WaitFor(3002);
        Leases.End(lease, EndReason.Operator, "");
        await ReceiveEnd(first, lease);
    }

    [Fact]
    public async Task Follow_UnknownAndForeign_AreNotToldApartAndNothingIsToldOfThem()
    {
        using var process = PidFd.Open(Environment.ProcessId);
        var identity = process.GetIdentity();
        var here = new LeaseOwner(Users.EffectiveUid, 0, Environment.ProcessId, "here");
        LeaseOwner[] foreign =
        [
            // Another user's, of the same number and even of the same process; another process of this user, with and without the same number; one of which it is not known which process it is.
            here with { Uid = Users.EffectiveUid + 1, Process = identity },
            here with { Process = identity with { Key = identity.Key + 1 } },
            here with { Pid = 1, Process = identity with { Key = identity.Key - 1 } },
            here,
        ];
        var theirs = new List<string>();
        foreach (var owner in foreign)
        {
            theirs.Add(await Hold(owner));
        }

        var client = Connect();
        string own = await Acquire(client);
        string[] asked = ["", "ls-none", new('x', 30_000), "ls-\0", .. theirs, own];

        client.Send(new FdRequest { Follow = new FollowRequest { LeaseIds = { asked } } }.ToByteArray());
        var results = (await Receive(client)).Followed.Results;

        Assert.Equal([.. Enumerable.Repeat(NotFound, asked.Length - 1), 0], results.Select(static result => (int)result.Code));
        Assert.Single(results.SkipLast(1).Select(static result => result.Message).Distinct(), static message => message.Length > 0);
        foreach (string lease in theirs)
        {
            Leases.Recall(lease, TimeSpan.FromMinutes(1), EndReason.Operator, "");
            Leases.End(lease, EndReason.Operator, "");
        }

        await AssertNothingIsTold(client);
        Leases.End(own, EndReason.Operator, "");
        await ReceiveEnd(client, own);
    }

    [Fact]
    public async Task Follow_AsAnEarlierRunWroteTheOwnerDown_IsTheSameProcess()
    {
        // A restart makes an owner anew, and groups may have changed since.
        using var process = PidFd.Open(Environment.ProcessId);
        string lease = await Hold(new LeaseOwner(Users.EffectiveUid, 77, Environment.ProcessId, "earlier") { Process = process.GetIdentity(), Groups = [1, 2, 3] });
        var client = Connect();

        Assert.Equal([0], await Follow(client, lease));

        Leases.End(lease, EndReason.Operator, "");
        await ReceiveEnd(client, lease);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(257)]
    [InlineData(30_000)]
    public async Task Follow_NoneOrTooMany_IsInvalidAndTheConnectionClosed(int count)
    {
        var client = Connect();
        client.Send(new FdRequest { Follow = new FollowRequest { LeaseIds = { Enumerable.Repeat("", count) } } }.ToByteArray());

        var error = await client.ReceiveError();

        Assert.Equal(((uint)StatusCode.InvalidArgument, true), (error.Code, error.Closing));
        Assert.Contains("1 to 256", error.Message, StringComparison.Ordinal);
        await client.AssertClosed();
    }

    [Fact]
    public async Task Follow_WithFiles_IsRefusedAndTheyAreClosed()
    {
        string lease = await AcquireAndClose();
        var client = Connect();
        using var file = Memfd.Create("hostile", 1);
        client.Send(new FdRequest { Follow = new FollowRequest { LeaseIds = { lease } } }.ToByteArray(), file);

        Assert.Equal((uint)StatusCode.InvalidArgument, (await client.ReceiveError()).Code);
        await client.AssertClosed();
        Assert.Equal(1, OpenFiles.Now().Count("hostile"));
    }

    [Fact]
    public async Task Follow_WithoutReadingTheAnswers_IsDisconnectedAndOthersAreServed()
    {
        var (hostile, other) = (Connect(), Connect());
        byte[] packet = new FdRequest { Follow = new FollowRequest { LeaseIds = { Enumerable.Repeat("ls-none", 256) } } }.ToByteArray();
        await Wait.Until(
            () =>
            {
                try
                {
                    while (FdSocket.TrySend(hostile.Socket, packet, []))
                    {
                    }

                    return false;
                }
                catch (LinuxException)
                {
                    return true;
                }
            },
            "the flooding client cut off");

        await Logs.WaitFor(3008);
        await Acquire(other);
    }

    /// <summary>Whichever comes first, whoever follows hears of the end.</summary>
    [Fact]
    public async Task Follow_LeaseEndsAtTheSameMoment_TheEndIsTold()
    {
        var (first, second) = (Connect(), Connect());
        for (int i = 0; i < 200; i++)
        {
            string lease = await Acquire(first);
            var end = Task.Run(() => Leases.End(lease, EndReason.Operator, ""), Cancellation);

            Assert.Equal([0], await Follow(second, lease));

            await ReceiveEnd(second, lease);
            await end;
            await DrainNotices(first);
        }
    }

    private async Task<string> AcquireAndClose()
    {
        using var client = new FdChannelClient(SocketPath);
        string lease = await Acquire(client);
        client.Dispose();
        await Logs.WaitFor(3002);
        return lease;
    }

    private static async Task<string> Acquire(FdChannelClient client)
    {
        client.Acquire(new V1.AcquireRequest { Device = "sim0", RequestId = Guid.NewGuid().ToString(), Buffers = { new V1.BufferRequest { Size = 4096 } } });
        return (await client.ReceiveDelivery()).Lease.Id;
    }

    /// <summary>A lease of somebody who is not connected, active.</summary>
    private async Task<string> Hold(LeaseOwner owner)
    {
        var request = new AcquireRequest(
            "sim0", [new BufferRequest(0, [], 4096)], BufferAccess.ReadWrite, MemoryAttribute.NonCached, null, null, ImmutableDictionary<string, string>.Empty, "");
        var grant = await Leases.AcquireAsync(request, owner, Cancellation);
        Assert.Equal(LeaseState.Active, Leases.Redeem(grant.Ticket.Span, owner.Uid).Lease.State);
        return grant.Lease.Id;
    }

    private static async Task<IEnumerable<int>> Follow(FdChannelClient client, params string[] leases)
    {
        client.Send(new FdRequest { Follow = new FollowRequest { LeaseIds = { leases } } }.ToByteArray());
        return (await Receive(client)).Followed.Results.Select(static result => (int)result.Code);
    }

    private static async Task<FdResponse> Receive(FdChannelClient client)
    {
        var (response, packet) = (await client.Receive("an answer"))!.Value;
        Assert.Empty(packet.Files);
        return response;
    }

    private static async Task ReceiveEnd(FdChannelClient client, string lease)
    {
        V1.Lease notice;
        do
        {
            notice = await client.ReceiveNotice();
            Assert.Equal(lease, notice.Id);
        }
        while (notice.State != V1.LeaseState.Ended);
    }

    /// <summary>What comes next is the answer to something else.</summary>
    private static async Task AssertNothingIsTold(FdChannelClient client)
    {
        client.Redeem(new byte[16]);
        Assert.Equal((uint)NotFound, (await client.ReceiveError()).Code);
    }

    private static async Task DrainNotices(FdChannelClient client)
    {
        client.Redeem(new byte[16]);
        while ((await Receive(client)).ResponseCase == FdResponse.ResponseOneofCase.Notice)
        {
        }
    }
}
