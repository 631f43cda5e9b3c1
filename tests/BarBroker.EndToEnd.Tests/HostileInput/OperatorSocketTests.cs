// SPDX-License-Identifier: Apache-2.0

using BarBroker.V1;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace BarBroker.EndToEnd.Tests.HostileInput;

public sealed class OperatorSocketTests : HostileTestBase
{
    [Fact]
    public async Task Connect_AsAnotherUser_IsRefusedByTheKernel()
    {
        var stranger = await StartStrangerAsync("stranger");

        string answer = await stranger.FailAsync($"lend {Broker.OperatorSocket}");

        Assert.Equal("connect: Permission denied", answer);
        await stranger.LendConnectionAsync(Broker.ClientSocket).ContinueWith(lent => lent.Result.Dispose(), TaskScheduler.Default);
    }

    [Fact]
    public async Task Revoke_WithoutOrWithTooManySelections_EndsNothing()
    {
        var lease = (await AcquireAsync()).Lease;
        (RevokeRequest Request, StatusCode Code, string Field)[] refused =
        [
            (new RevokeRequest(), StatusCode.InvalidArgument, "lease_ids"),
            (new RevokeRequest { Selector = new LeaseSelector() }, StatusCode.InvalidArgument, "lease_ids"),
            (new RevokeRequest { LeaseIds = { lease.Id }, Selector = new LeaseSelector { Device = "sim0" } }, StatusCode.InvalidArgument, "selector"),
            (new RevokeRequest { LeaseIds = { lease.Id }, Grace = new Duration { Seconds = -1 } }, StatusCode.InvalidArgument, "grace"),
            (new RevokeRequest { LeaseIds = { lease.Id }, Comment = new string('x', 5000) }, StatusCode.InvalidArgument, "comment"),
            (new RevokeRequest { LeaseIds = { lease.Id, "ls-ffff" } }, StatusCode.NotFound, ""),
        ];
        foreach (var (request, code, field) in refused)
        {
            using var call = Operator.Operator.Revoke(request);
            var refusal = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(Cancellation));
            Assert.True(refusal.StatusCode == code && (refusal.GetRpcStatus()?.GetDetail<ErrorDetail>()?.Field ?? "") == field, $"{request}: {refusal}");
        }

        Assert.Equal(LeaseState.Granted, (await GetAsync(lease.Id)).State);
    }

    [Fact]
    public async Task Devices_Unknown_AreNotFound()
    {
        foreach (string device in new[] { "", "sim", "sim0 ", new string('x', 50_000) })
        {
            await RefusedAsync(StatusCode.NotFound, Operator.Operator.GetDeviceAsync(new GetDeviceRequest { Device = device }));
            await RefusedAsync(StatusCode.NotFound, Operator.Operator.CordonDeviceAsync(new CordonDeviceRequest { Device = device }));
            await RefusedAsync(StatusCode.NotFound, Operator.Operator.ResetDeviceAsync(new ResetDeviceRequest { Device = device }));
            using var drain = Operator.Operator.DrainDevice(new DrainDeviceRequest { Device = device });
            Assert.Equal(StatusCode.NotFound, (await Assert.ThrowsAsync<RpcException>(() => drain.ResponseStream.MoveNext(Cancellation))).StatusCode);
        }
    }

    [Fact]
    public async Task LeaseService_OnTheOperatorSocket_IsNotThere() =>
        await RefusedAsync(StatusCode.Unimplemented, Operator.Leases.AcquireAsync(new AcquireRequest { Buffers = { new BufferRequest { Size = 4096 } } }));

    [Fact]
    public async Task Connection_ThatIsNoHttp2_IsClosed() => await RawConnections.AssertGarbageIsClosedAsync(Broker.OperatorSocket);
}
