// SPDX-License-Identifier: Apache-2.0

using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Testing;
using BarBroker.V1;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace BarBroker.EndToEnd.Tests.HostileInput;

public sealed class ClientSocketTests : HostileTestBase
{
    private static readonly string[] UnknownIds = ["", "ls-ffff", "LS-0001", "1", "ls-0001\n", "../../etc/passwd", "ls-0001'; --", "\0", "🦀", new string('x', 50_000)];

    [Fact]
    public async Task Acquire_Absurd_IsRefusedAndNamesTheField()
    {
        foreach (var (name, request, code, field) in AbsurdAcquires.All())
        {
            var detail = await RefusedAsync(code, Rpc.Leases.AcquireAsync(request));
            Assert.True(detail.Field == field, $"{name}: the answer names \"{detail.Field}\" instead of \"{field}\"");
        }

        await AssertNothingOfOursAsync();
    }

    [Fact]
    public async Task Acquire_LargerThanAMessageMayBe_IsResourceExhausted()
    {
        foreach (int size in new[] { 70_000, 8 << 20 })
        {
            await RefusedAsync(StatusCode.ResourceExhausted, Rpc.Leases.AcquireAsync(new AcquireRequest { Device = new string('x', size) }));
        }

        await AssertNothingOfOursAsync();
    }

    [Fact]
    public async Task Acquire_TenThousandPastTheQuota_AreRefusedAndNothingIsHeldForThem()
    {
        const int Count = 10_000;
        var stranger = await StartStrangerAsync("stranger");
        using var rpc = RpcClient.Over(await stranger.LendConnectionAsync(Broker.ClientSocket));
        var request = new AcquireRequest { Buffers = { new BufferRequest { Size = 4096 } } };
        var held = new List<string>();
        for (int i = 0; i < LeasesPerUid; i++)
        {
            held.Add((await rpc.Leases.AcquireAsync(request)).Lease.Id);
        }

        int refused = 0;
        await Parallel.ForAsync(0, Count, new ParallelOptions { MaxDegreeOfParallelism = 50 }, async (_, end) =>
        {
            await RefusedAsync(StatusCode.ResourceExhausted, rpc.Leases.AcquireAsync(request, cancellationToken: end));
            Interlocked.Increment(ref refused);
        });

        Assert.Equal(Count, refused);
        Assert.Equal(held.Order(), (await rpc.Leases.ListLeasesAsync(new ListLeasesRequest())).Leases.Select(lease => lease.Id).Order());
        await rpc.Leases.ReleaseAsync(new ReleaseRequest { LeaseId = held[0] });
        await rpc.Leases.AcquireAsync(request);
    }

    [Fact]
    public async Task Ids_Unknown_AreNotFound()
    {
        foreach (string id in UnknownIds)
        {
            await RefusedAsync(StatusCode.NotFound, Rpc.Leases.GetLeaseAsync(new GetLeaseRequest { LeaseId = id }));
            await RefusedAsync(StatusCode.NotFound, Rpc.Leases.ReleaseAsync(new ReleaseRequest { LeaseId = id }));
        }

        using var stream = Rpc.Leases.KeepAlive();
        await stream.RequestStream.WriteAsync(new KeepAliveRequest { Heartbeats = { UnknownIds[..^1].Select(id => new Heartbeat { LeaseId = id }) } });
        Assert.True(await stream.ResponseStream.MoveNext(Cancellation));
        Assert.Equal(UnknownIds.Length - 1, stream.ResponseStream.Current.Results.Count);
        Assert.All(stream.ResponseStream.Current.Results, result => Assert.Equal((LeaseState.Unspecified, new Duration()), (result.State, result.Remaining)));
        await stream.RequestStream.CompleteAsync();
        Assert.False(await stream.ResponseStream.MoveNext(Cancellation));
    }

    [Fact]
    public async Task Ids_OfAnotherUid_AreNotFoundAndNothingHappensToTheLease()
    {
        var stranger = await StartStrangerAsync("stranger");
        using var theirs = RpcClient.Over(await stranger.LendConnectionAsync(Broker.ClientSocket));
        var ours = await AcquireAsync();
        string id = ours.Lease.Id;

        await RefusedAsync(StatusCode.NotFound, theirs.Leases.GetLeaseAsync(new GetLeaseRequest { LeaseId = id }));
        await RefusedAsync(StatusCode.NotFound, theirs.Leases.ReleaseAsync(new ReleaseRequest { LeaseId = id }));
        using var stream = theirs.Leases.KeepAlive();
        await stream.RequestStream.WriteAsync(new KeepAliveRequest { Heartbeats = { new Heartbeat { LeaseId = id, Progress = 7 } } });
        Assert.True(await stream.ResponseStream.MoveNext(Cancellation));
        Assert.Equal((LeaseState.Unspecified, new Duration()), (stream.ResponseStream.Current.Results[0].State, stream.ResponseStream.Current.Results[0].Remaining));
        await stream.RequestStream.CompleteAsync();

        Assert.Empty((await theirs.Leases.ListLeasesAsync(new ListLeasesRequest { IncludeEnded = true })).Leases);
        Assert.Equal(LeaseState.Granted, (await GetAsync(id)).State);

        // Where it is in the way it is named, and no more.
        var taken = ours.Lease.Buffers[0].Ranges[0];
        var detail = await RefusedAsync(StatusCode.ResourceExhausted, theirs.Leases.AcquireAsync(new AcquireRequest { Buffers = { Pages((taken.Offset, taken.Length)) } }));
        Assert.Equal((id, "sim0"), (detail.LeaseId, detail.Device));
    }

    [Fact]
    public async Task KeepAlive_MoreThanAMessageMayCarry_IsInvalidArgument()
    {
        using var stream = Rpc.Leases.KeepAlive();
        await stream.RequestStream.WriteAsync(new KeepAliveRequest { Heartbeats = { Enumerable.Range(0, 1025).Select(_ => new Heartbeat { LeaseId = "x" }) } });

        var refusal = await Assert.ThrowsAsync<RpcException>(() => stream.ResponseStream.MoveNext(Cancellation));

        Assert.Equal((StatusCode.InvalidArgument, "heartbeats"), (refusal.StatusCode, refusal.GetRpcStatus()?.GetDetail<ErrorDetail>()?.Field));
    }

    [Fact]
    public async Task Watch_ThatIsNotRead_IsEnded()
    {
        var stranger = await StartStrangerAsync("stranger");
        using var rpc = RpcClient.Over(await stranger.LendConnectionAsync(Broker.ClientSocket));
        using var watch = rpc.Leases.Watch(new WatchRequest());
        Assert.True(await watch.ResponseStream.MoveNext(Cancellation));

        // Many times what the connection and the broker's queue hold.
        using var other = RpcClient.Over(await stranger.LendConnectionAsync(Broker.ClientSocket));
        await Parallel.ForAsync(0, 5_000, new ParallelOptions { MaxDegreeOfParallelism = 10 }, async (_, end) =>
        {
            var granted = await other.Leases.AcquireAsync(new AcquireRequest { Buffers = { new BufferRequest { Size = 4096 } }, Labels = { ["filler"] = new string('x', 255) } }, cancellationToken: end);
            await other.Leases.ReleaseAsync(new ReleaseRequest { LeaseId = granted.Lease.Id }, cancellationToken: end);
        });

        var end = await Assert.ThrowsAsync<RpcException>(async () =>
        {
            while (await Wait.For(watch.ResponseStream.MoveNext(Cancellation), "the watch that was not read comes to its end", Patience.Long))
            {
            }
        });

        Assert.True(end.StatusCode == StatusCode.ResourceExhausted, end.ToString());
    }

    [Fact]
    public async Task OperatorService_OnTheClientSocket_IsNotThere()
    {
        await RefusedAsync(StatusCode.Unimplemented, Rpc.Operator.GetStatusAsync(new GetStatusRequest()));
        await RefusedAsync(StatusCode.Unimplemented, Rpc.Operator.ResetDeviceAsync(new ResetDeviceRequest { Device = "sim0" }));
    }

    [Fact]
    public async Task Connection_ThatIsNoHttp2_IsClosed() => await RawConnections.AssertGarbageIsClosedAsync(Broker.ClientSocket);

    [Fact]
    public async Task Connections_Hundreds_AreClosedBeyondTheLimit() =>
        // The test's and the citizen's own connections count.
        await RawConnections.AssertLimitAsync(Broker.ClientSocket, ConnectionsPerUid - 2, 300);

    private async Task AssertNothingOfOursAsync()
    {
        // The citizen is of this uid, too, and has one or two.
        var mine = (await Rpc.Leases.ListLeasesAsync(new ListLeasesRequest())).Leases;
        Assert.InRange(mine.Count, 1, 2);
    }
}
