// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Sockets;
using BarBroker.Linux.Sockets;
using BarBroker.Testing;
using BarBroker.V1;
using Google.Protobuf;
using Grpc.Core;

namespace BarBroker.Client.Tests.Tracing;

/// <summary>What a collector gets of the broker's spans joins those of the client.</summary>
public sealed class TraceTests : ClientTestBase
{
    private const string Acquire = "lease acquire";
    private const string HandOver = "lease hand-over";
    private const string Revoke = "lease revoke";
    private const string Other = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    [Fact]
    public async Task Lease_OfTheLibrary_EverySpanIsInTheClientsTrace()
    {
        var receiver = Own(await OtlpReceiver.StartAsync());
        var broker = Own(await StartAsync(receiver));
        var client = await ConnectAsync(broker);
        var own = new ConcurrentDictionary<string, Activity>();
        using var listener = Listen(own);

        string lease;
        await using (var held = await client.AcquireAsync(LeaseRequest.OfSize("sim0", 4096), Cancellation))
        {
            lease = held.Id;
        }

        var spans = await receiver.OfLeaseAsync(lease, Acquire, HandOver, Revoke);
        Assert.Equal([own[Acquire].TraceId.ToHexString()], spans.Values.Select(static span => span.TraceId).Append(own["lease release"].TraceId.ToHexString()).Distinct());
        Assert.Equal(own[Acquire].SpanId.ToHexString(), spans[Acquire].Parent);
        Assert.Equal(own[Acquire].SpanId, own["lease release"].ParentSpanId);
        Assert.Equal((spans[Acquire].Id, spans[Acquire].Id), (spans[HandOver].Parent, spans[Revoke].Parent));
        Assert.Equal(("barbrokerd", "sim0", "Released"), (spans[Revoke].Service, spans[Revoke].Tags["barbroker.device"], spans[Revoke].Tags["barbroker.end_reason"]));
    }

    [Fact]
    public async Task Lease_NobodyListensInTheProgram_IsInTheProgramsTraceAllTheSame()
    {
        var receiver = Own(await OtlpReceiver.StartAsync());
        var broker = Own(await StartAsync(receiver));
        var client = await ConnectAsync(broker);
        using var program = new Activity("program").SetIdFormat(ActivityIdFormat.W3C);
        program.ActivityTraceFlags = ActivityTraceFlags.Recorded;
        program.Start();

        await using var held = await client.AcquireAsync(LeaseRequest.OfSize("sim0", 4096), Cancellation);
        await File.WriteAllTextAsync(broker.FaultsFile, "revoke fail EIO\n", Cancellation);
        Assert.Equal(V1.LeaseState.Stuck, (await RevokeAsync(broker, held)).State);
        File.Delete(broker.FaultsFile);

        var spans = await receiver.OfLeaseAsync(held.Id, Acquire, HandOver, Revoke);
        Assert.Equal((program.TraceId.ToHexString(), program.SpanId.ToHexString()), (spans[Acquire].TraceId, spans[Acquire].Parent));
        Assert.Equal((program.TraceId.ToHexString(), "Operator"), (spans[Revoke].TraceId, spans[Revoke].Tags["barbroker.end_reason"]));
        Assert.Equal("stuck", Assert.Single(spans[Revoke].Events.Distinct()));
    }

    [Fact]
    public async Task Lease_ByGrpcAndTicket_HeadersJoinAndLink()
    {
        var receiver = Own(await OtlpReceiver.StartAsync());
        var broker = Own(await StartAsync(receiver));
        var client = await ConnectAsync(broker);
        const string First = "00-11f7651916cd43dd8448eb211c80319c-11ad6b7169203331-01";
        var request = new AcquireRequest { Device = "sim0", Buffers = { new BufferRequest { Size = 4096 } } };
        var granted = await client.Service.AcquireAsync(request, new Metadata { { "traceparent", First } }, cancellationToken: Cancellation);
        using (var socket = FdSocket.Create())
        {
            await socket.ConnectAsync(BrokerChannel.Address(BrokerPaths.FdSocket(broker.RuntimeDirectory)), Cancellation);
            await socket.SendAsync(new FdRequest { Redeem = new RedeemRequest { Ticket = granted.Ticket }, Traceparent = Other }.ToByteArray(), Cancellation);
            byte[] answer = new byte[64 * 1024];
            Assert.NotNull(FdResponse.Parser.ParseFrom(answer, 0, await socket.ReceiveAsync(answer, SocketFlags.None, Cancellation)).Delivery);
        }

        await client.Service.ReleaseAsync(new ReleaseRequest { LeaseId = granted.Lease.Id }, cancellationToken: Cancellation);

        var spans = await receiver.OfLeaseAsync(granted.Lease.Id, Acquire, HandOver, Revoke);
        Assert.Equal(["11f7651916cd43dd8448eb211c80319c"], spans.Values.Select(static span => span.TraceId).Distinct());
        Assert.Equal("11ad6b7169203331", spans[Acquire].Parent);
        Assert.Equal("0af7651916cd43dd8448eb211c80319c", Assert.Single(spans[HandOver].LinkedTraces));
    }

    [Theory]
    [InlineData("")]
    [InlineData("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more")]
    [InlineData("00-00000000000000000000000000000000-b7ad6b7169203331-01")]
    [InlineData("zz-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-zz")]
    public async Task Lease_MalformedHeader_IsGrantedInATraceOfItsOwn(string traceparent)
    {
        var receiver = Own(await OtlpReceiver.StartAsync());
        var broker = Own(await StartAsync(receiver));
        string lease;
        using (var socket = FdSocket.Create())
        {
            await socket.ConnectAsync(BrokerChannel.Address(BrokerPaths.FdSocket(broker.RuntimeDirectory)), Cancellation);
            var acquire = new AcquireRequest { Device = "sim0", RequestId = "one", Buffers = { new BufferRequest { Size = 4096 } } };
            await socket.SendAsync(new FdRequest { Acquire = acquire, Traceparent = traceparent }.ToByteArray(), Cancellation);
            byte[] answer = new byte[64 * 1024];
            lease = FdResponse.Parser.ParseFrom(answer, 0, await socket.ReceiveAsync(answer, SocketFlags.None, Cancellation)).Delivery.Lease.Id;
        }

        var spans = await receiver.OfLeaseAsync(lease, Acquire, HandOver);

        Assert.Equal("", spans[Acquire].Parent);
        Assert.NotEqual("0af7651916cd43dd8448eb211c80319c", spans[Acquire].TraceId);
        Assert.Equal(spans[Acquire].TraceId, spans[HandOver].TraceId);
    }

    private static Task<BrokerProcess> StartAsync(OtlpReceiver receiver) =>
        BrokerProcess.StartAsync($"{BrokerProcess.OneDevice}, \"otlp\": {{ \"endpoint\": \"{receiver.Endpoint}\" }}");

    private static ActivityListener Listen(ConcurrentDictionary<string, Activity> stopped)
    {
        var listener = new ActivityListener
        {
            ShouldListenTo = static source => source.Name == BrokerClient.ActivitySourceName,
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = activity => stopped[activity.OperationName] = activity,
        };
        ActivitySource.AddActivityListener(listener);
        return listener;
    }
}
