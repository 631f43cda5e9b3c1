// SPDX-License-Identifier: Apache-2.0

using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Linux;
using BarBroker.Linux.Memory;
using BarBroker.V1;
using Google.Protobuf;
using Grpc.Core;

namespace BarBroker.EndToEnd.Tests.HostileInput;

/// <summary>Who asks for the notices of leases that are not its own, and in what ways.</summary>
public sealed class FdFollowTests : HostileTestBase
{
    private const uint NotFound = (uint)StatusCode.NotFound;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Follow_LeaseOfAnotherProcess_IsAsUnknownAndItsOwnerIsTold(bool isAnotherUser)
    {
        var holder = isAnotherUser ? await StartStrangerAsync("holder") : await Processes.StartAsync("holder");
        await using var theirs = await LeaseHolder.HoldAsync(Broker, holder, new AcquireRequest { Buffers = { new BufferRequest { Size = 4096 } } });
        using var client = new FdClient(Broker.FdSocket);

        var answer = await client.AskAsync(Follow(theirs.Lease.Id, "ls-none"));

        Assert.Equal([NotFound, NotFound], answer!.Followed.Results.Select(static result => result.Code));
        Assert.Equal(answer.Followed.Results[0].Message, answer.Followed.Results[1].Message);
        using (var call = Operator.Operator.Revoke(new RevokeRequest { LeaseIds = { theirs.Lease.Id }, Comment = "a test" }))
        {
            await foreach (var _ in call.ResponseStream.ReadAllAsync())
            {
            }
        }

        await Testing.Wait.Until(() => holder.Notices.Any(lease => lease.Id == theirs.Lease.Id && lease.State == LeaseState.Ended), "its owner is told", Patience.Long);
        // Nothing else had come before this.
        Assert.Equal(NotFound, (await client.AskAsync(FdClient.Packet(RandomTicket())))?.Error?.Code);
    }

    [Fact]
    public async Task Follow_OverAConnectionOfAnotherProcess_GoesByWhoConnected()
    {
        var holder = await Processes.StartAsync("holder");
        await using var theirs = await LeaseHolder.HoldAsync(Broker, holder, new AcquireRequest { Buffers = { new BufferRequest { Size = 4096 } } });
        using var lent = new FdClient(await holder.LendConnectionAsync(Broker.FdSocket, isFdSocket: true));
        using var own = new FdClient(Broker.FdSocket);
        var ours = (await own.AskAsync(FdClient.Acquire(new AcquireRequest { Buffers = { new BufferRequest { Size = 4096 } } }, "ours")))!.Delivery.Lease;

        var answer = await lent.AskAsync(Follow(theirs.Lease.Id, ours.Id));

        Assert.Equal([0, NotFound], answer!.Followed.Results.Select(static result => result.Code));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(257)]
    [InlineData(32_000)]
    public async Task Follow_NoneOrTooMany_IsAnsweredAndTheConnectionClosed(int count)
    {
        using var client = new FdClient(Broker.FdSocket);

        var answer = await client.AskAsync(Follow([.. Enumerable.Repeat("", count)]));

        Assert.True(answer?.Error is { Code: (uint)StatusCode.InvalidArgument, Closing: true, Message.Length: > 0 }, $"{answer}");
        Assert.Null(await client.ReceiveAsync());
    }

    [Fact]
    public async Task Follow_WithFds_IsAnsweredAndTheConnectionClosed()
    {
        using var file = Memfd.Create("hostile", 4096);
        using var client = new FdClient(Broker.FdSocket);

        var answer = await client.AskAsync(Follow("ls-none"), file, file);

        Assert.True(answer?.Error is { Code: (uint)StatusCode.InvalidArgument, Closing: true }, $"{answer}");
        Assert.Null(await client.ReceiveAsync());
    }

    [Fact]
    public async Task Follow_IdsOfAnyBytes_AreUnknownAndTheConnectionGoesOn()
    {
        using var client = new FdClient(Broker.FdSocket);
        string[] ids = ["", "\0", "ls-", "../../etc/passwd", "'; DROP TABLE leases; --", "\uFFFD\u202E", new('x', 60_000)];

        var answer = await client.AskAsync(Follow(ids));

        Assert.Equal([.. Enumerable.Repeat(NotFound, ids.Length)], answer!.Followed.Results.Select(static result => result.Code));
        var again = await client.AskAsync(Follow([.. Enumerable.Repeat("ls-none", 256)]));
        Assert.Equal(256, again!.Followed.Results.Count);
    }

    [Fact]
    public async Task Client_ThatFollowsAndNeverReads_IsDisconnected()
    {
        using var client = new FdClient(Broker.FdSocket);
        byte[] packet = Follow([.. Enumerable.Repeat("ls-none", 256)]);

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
    }

    private static byte[] Follow(params string[] ids) => new FdRequest { Follow = new FollowRequest { LeaseIds = { ids } } }.ToByteArray();
}
