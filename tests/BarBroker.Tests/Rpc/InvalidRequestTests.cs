// SPDX-License-Identifier: Apache-2.0

using BarBroker.Tests.Hosting;
using BarBroker.V1;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace BarBroker.Tests.Rpc;

/// <summary>What hostile or mistaken clients send.</summary>
public sealed class InvalidRequestTests : BrokerTest
{
    public static TheoryData<string, AcquireRequest> Invalid() => new()
    {
        { "buffers", new AcquireRequest { Device = "sim0" } },
        { "buffers", Many(9, new BufferRequest { Size = Page }) },
        { "buffers[0]", Many(1, new BufferRequest()) },
        { "buffers[0].bar", Many(1, new BufferRequest { Bar = 6, Size = Page }) },
        { "buffers[0].bar", Many(1, new BufferRequest { Bar = uint.MaxValue, Size = Page }) },
        { "buffers[0].bar", Many(1, new BufferRequest { Bar = 1, Size = Page }) },
        { "buffers[0].size", Many(1, new BufferRequest { Size = 1 }) },
        { "buffers[0].size", Many(1, new BufferRequest { Size = ulong.MaxValue - Page + 1 }) },
        { "buffers[0].alignment", Many(1, new BufferRequest { Size = Page, Alignment = 3 * Page }) },
        { "buffers[0].alignment", Many(1, new BufferRequest { Size = Page, Alignment = 1 }) },
        { "buffers[0].ranges[0].offset", Ranged((1, Page)) },
        { "buffers[0].ranges[0].length", Ranged((0, 0)) },
        { "buffers[0].ranges[0].length", Ranged((0, Page + 1)) },
        { "buffers[0].ranges[0]", Ranged((1 << 20, Page)) },
        { "buffers[0].ranges[0]", Ranged((ulong.MaxValue - Page + 1, Page)) },
        { "buffers[0].ranges[0]", Ranged((ulong.MaxValue - Page + 1, 2 * Page)) },
        { "buffers[0].ranges[1]", Ranged((0, 2 * Page), (Page, Page)) },
        { "buffers[0].ranges", Ranged([.. Enumerable.Range(0, 1000).Select(i => ((ulong)i * Page, Page))]) },
        { "ttl", With(request => request.Ttl = new Duration()) },
        { "ttl", With(request => request.Ttl = new Duration { Seconds = -1 }) },
        { "ttl", With(request => request.Ttl = new Duration { Seconds = long.MaxValue }) },
        { "ttl", With(request => request.Ttl = new Duration { Seconds = 1, Nanos = -1 }) },
        { "hang_limit", With(request => request.HangLimit = new Duration()) },
        { "access", With(request => request.Access = (Access)99) },
        { "memory_attribute", With(request => request.MemoryAttribute = (MemoryAttribute)(-1)) },
        { "labels", With(request => request.Labels.Add(Enumerable.Range(0, 17).ToDictionary(i => $"k{i}", _ => ""))) },
        { "labels", With(request => request.Labels.Add("Upper", "")) },
        { "labels", With(request => request.Labels.Add("long", new string('x', 256))) },
        { "request_id", With(request => request.RequestId = new string('x', 65)) },
    };

    [Theory]
    [MemberData(nameof(Invalid), DisableDiscoveryEnumeration = true)]
    public async Task Acquire_InvalidField_InvalidArgumentNamesIt(string field, AcquireRequest request)
    {
        var (message, detail) = await Refused(StatusCode.InvalidArgument, Client.AcquireAsync(request, cancellationToken: Cancellation));

        Assert.StartsWith(field, detail?.Field, StringComparison.Ordinal);
        Assert.NotEmpty(message);
        Assert.Empty((await Client.ListLeasesAsync(new(), cancellationToken: Cancellation)).Leases);
    }

    [Fact]
    public async Task Acquire_TtlBeyondTimeSpan_ClampedToTheLongest()
    {
        var lease = await Acquire(change: request => request.Ttl = new Duration { Seconds = 315_576_000_000 });

        Assert.Equal(TimeSpan.FromHours(1), lease.Ttl.ToTimeSpan());
    }

    [Fact]
    public async Task AnyCall_MessageTooLarge_ResourceExhaustedAndConnectionGoesOn()
    {
        await Refused(StatusCode.ResourceExhausted, Client.GetLeaseAsync(new GetLeaseRequest { LeaseId = new string('x', 70_000) }, cancellationToken: Cancellation));

        await Client.ListDevicesAsync(new(), cancellationToken: Cancellation);
    }

    [Theory]
    [InlineData(new byte[] { 0xff, 0xff, 0xff, 0xff, 0xff })]
    [InlineData(new byte[] { 0x0a, 0x7f })]
    [InlineData(new byte[] { 0x0a, 0x02, 0xc3, 0x28 })]
    public async Task AnyCall_NoProtobuf_RefusedAndConnectionGoesOn(byte[] garbage)
    {
        var bytes = Marshallers.Create(static (byte[] data) => data, static data => data);
        var method = new Method<byte[], byte[]>(MethodType.Unary, "barbroker.v1.LeaseService", "Acquire", bytes, bytes);
        using var call = ClientChannel.CreateCallInvoker().AsyncUnaryCall(method, null, new CallOptions(cancellationToken: Cancellation), garbage);

        var exception = await Assert.ThrowsAsync<RpcException>(() => call.ResponseAsync);

        Assert.Equal(StatusCode.Unknown, exception.StatusCode);
        await Client.ListDevicesAsync(new(), cancellationToken: Cancellation);
    }

    [Fact]
    public async Task Connection_NoHttp_ClosedAndOthersGoOn()
    {
        await using var stream = await Dial(ClientSocket, Cancellation);
        await stream.WriteAsync("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"u8.ToArray(), Cancellation);
        var rest = new byte[4096];
        while (await stream.ReadAsync(rest, Cancellation) > 0)
        {
        }

        await Client.ListDevicesAsync(new(), cancellationToken: Cancellation);
    }

    [Fact]
    public async Task UnknownFields_AreIgnored()
    {
        var bytes = new GetLeaseRequest { LeaseId = (await Acquire()).Id }.ToByteArray();

        // Field 1000, a varint.
        var request = GetLeaseRequest.Parser.ParseFrom([.. bytes, 0xc0, 0x3e, 0x01]);

        Assert.Equal(LeaseState.Granted, (await Client.GetLeaseAsync(request, cancellationToken: Cancellation)).Lease.State);
    }

    private static AcquireRequest Many(int count, BufferRequest buffer)
    {
        var request = new AcquireRequest { Device = "sim0" };
        request.Buffers.AddRange(Enumerable.Repeat(buffer, count));
        return request;
    }

    private static AcquireRequest With(Action<AcquireRequest> change)
    {
        var request = Sized(Page);
        change(request);
        return request;
    }
}
