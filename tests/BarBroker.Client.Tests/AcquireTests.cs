// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux;
using BarBroker.Testing;
using BarBroker.V1;
using Grpc.Core;

namespace BarBroker.Client.Tests;

public sealed class AcquireTests(BrokerFixture fixture) : ClientTestBase, IClassFixture<BrokerFixture>
{
    [Fact]
    public async Task AcquireAsync_Size_GivesMemoryOfThatSizeToReadAndWrite()
    {
        var client = await ConnectAsync(fixture.Broker);

        await using var lease = await client.AcquireAsync(LeaseRequest.OfSize("sim0", 8192, bar: 2), Cancellation);

        var buffer = Assert.Single(lease.Buffers);
        Assert.Equal((2, 8192ul, 8192ul), (buffer.Bar, buffer.Size, buffer.File.GetSize()));
        Assert.Equal(("sim0", LeaseState.Active, TimeSpan.FromSeconds(30)), (lease.Device, lease.State, lease.Ttl));
        Assert.True(lease.Epoch > 0);
        using var mapping = buffer.Map();
        mapping.CopyFrom(4000, "across two pages"u8.ToArray().Concat(new byte[200]).ToArray());
        var read = new byte[16];
        mapping.CopyTo(4000, read);
        Assert.Equal("across two pages"u8, read);
        mapping.Write32(8, 0xdeadbeef);
        Assert.Equal(0xdeadbeefu, mapping.Read32(8));
    }

    [Fact]
    public async Task AcquireAsync_RangesAndBuffers_AreInTheOrderAsked()
    {
        var client = await ConnectAsync(fixture.Broker);
        var request = new LeaseRequest
        {
            Device = "sim0",
            Buffers = [BufferSpec.OfRanges(0, new BarRange(0x8000, 0x1000), new BarRange(0x2000, 0x2000)), BufferSpec.OfSize(0x1000, bar: 2)],
        };

        await using var lease = await client.AcquireAsync(request, Cancellation);

        Assert.Equal(["0x8000+0x1000", "0x2000+0x2000"], lease.Buffers[0].Ranges.Select(range => range.ToString()));
        Assert.Equal([0x3000ul, 0x1000ul], lease.Buffers.Select(buffer => buffer.File.GetSize()));
        Assert.Equal([0, 2], lease.Buffers.Select(buffer => buffer.Bar));
    }

    [Fact]
    public async Task AcquireAsync_TakenRange_IsRefusedWithTheLeaseInTheWay()
    {
        var client = await ConnectAsync(fixture.Broker);
        var request = new LeaseRequest { Device = "sim0", Buffers = [BufferSpec.OfRanges(0, new BarRange(0x10000, 0x1000))] };
        await using var holder = await client.AcquireAsync(request, Cancellation);

        var refused = await Assert.ThrowsAsync<LeaseRefusedException>(() => client.AcquireAsync(request, Cancellation));

        Assert.Equal((StatusCode.ResourceExhausted, holder.Id, "sim0"), (refused.Code, refused.LeaseId, refused.Device));
    }

    [Fact]
    public async Task AcquireAsync_WrongFields_AreRefusedByName()
    {
        var client = await ConnectAsync(fixture.Broker);

        var unaligned = await Assert.ThrowsAsync<LeaseRefusedException>(() => client.AcquireAsync(LeaseRequest.OfSize("sim0", 100), Cancellation));
        var unknown = await Assert.ThrowsAsync<LeaseRefusedException>(() => client.AcquireAsync(LeaseRequest.OfSize("sim9", 4096), Cancellation));

        Assert.Equal((StatusCode.InvalidArgument, "buffers[0].size"), (unaligned.Code, unaligned.Field));
        Assert.Equal(StatusCode.NotFound, unknown.Code);
        Assert.Contains("sim9", unknown.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AcquireAsync_SameRequestId_GivesTheSameLease()
    {
        var client = await ConnectAsync(fixture.Broker);
        var request = LeaseRequest.OfSize("sim0", 4096) with { RequestId = "once" };

        await using var first = await client.AcquireAsync(request, Cancellation);
        var second = await client.AcquireAsync(request, Cancellation);

        Assert.Same(first, second);
    }

    [Fact]
    public async Task AcquireAsync_Cancelled_LeavesNoLease()
    {
        var client = await ConnectAsync(fixture.Broker);
        using var cancelled = new CancellationTokenSource();
        for (int i = 0; i < 20; i++)
        {
            // Cancelled at any point of the way: whoever wins, no lease is left without a holder.
            using var soon = new CancellationTokenSource();
            var acquiring = client.AcquireAsync(LeaseRequest.OfSize("sim0", 4096), soon.Token);
            await soon.CancelAsync();
            try
            {
                await using var won = await acquiring;
            }
            catch (OperationCanceledException)
            {
                continue;
            }
        }

        await Wait.Until(async () => (await client.Service.ListLeasesAsync(new ListLeasesRequest())).Leases.Count == 0, "no lease is left");
    }

    [Fact]
    public async Task AcquireAsync_ManyAtOnce_EachGetsItsOwn()
    {
        var client = await ConnectAsync(fixture.Broker);

        var leases = await Task.WhenAll(Enumerable.Range(0, 64).Select(_ => client.AcquireAsync(LeaseRequest.OfSize("sim0", 4096), Cancellation)));

        Assert.Equal(64, leases.Select(lease => lease.Id).Distinct().Count());
        Assert.Equal(64, leases.Select(lease => lease.Buffers[0].Ranges[0]).Distinct().Count());
        await Task.WhenAll(leases.Select(lease => lease.DisposeAsync().AsTask()));
    }

    [Fact]
    public async Task Map_ReadOnlyLease_RefusesWriting()
    {
        var client = await ConnectAsync(fixture.Broker);
        var request = LeaseRequest.OfSize("sim0", 4096) with { Access = Access.ReadOnly };
        await using var lease = await client.AcquireAsync(request, Cancellation);

        Assert.Throws<LinuxException>(() => lease.Buffers[0].Map(writable: true));
        using var mapping = lease.Buffers[0].Map(writable: false);
        Assert.Throws<InvalidOperationException>(() => mapping.CopyFrom(0, [1]));
        mapping.CopyTo(0, new byte[4096]);
    }

    [Fact]
    public async Task CopyTo_PastTheEnd_IsRefused()
    {
        var client = await ConnectAsync(fixture.Broker);
        await using var lease = await client.AcquireAsync(LeaseRequest.OfSize("sim0", 4096), Cancellation);
        using var mapping = lease.Buffers[0].Map();

        Assert.Throws<ArgumentOutOfRangeException>(() => mapping.CopyTo(4090, new byte[7]));
        Assert.Throws<ArgumentOutOfRangeException>(() => mapping.CopyFrom(ulong.MaxValue, [1]));
        Assert.Throws<ArgumentOutOfRangeException>(() => mapping.Read32(2));
        Assert.Throws<ArgumentOutOfRangeException>(() => mapping.Write32(4096, 0));
    }

    [Fact]
    public async Task DisposeAsync_Lease_FreesTheRangeAndClosesTheFile()
    {
        var client = await ConnectAsync(fixture.Broker);
        var request = new LeaseRequest { Device = "sim0", Buffers = [BufferSpec.OfRanges(0, new BarRange(0, 0x100000))] };
        var lease = await client.AcquireAsync(request, Cancellation);
        bool lost = false;
        lease.Lost += (_, _) => lost = true;

        await lease.DisposeAsync();
        await lease.DisposeAsync();

        Assert.Equal((LeaseState.Ended, EndReason.Released), (lease.State, lease.EndReason));
        Assert.True(lease.Buffers[0].File.IsClosed);
        Assert.Throws<ObjectDisposedException>(() => lease.Buffers[0].Map());
        await using var again = await client.AcquireAsync(request, Cancellation);
        Assert.True(again.Epoch > lease.Epoch);
        Assert.False(lost);
        Assert.False(lease.LostToken.IsCancellationRequested);
    }

    [Fact]
    public async Task DisposeAsync_Client_ReleasesItsLeases()
    {
        var client = await ConnectAsync(fixture.Broker);
        var other = await ConnectAsync(fixture.Broker);
        var lease = await client.AcquireAsync(LeaseRequest.OfSize("sim0", 4096), Cancellation);

        await client.DisposeAsync();

        Assert.Equal(EndReason.Released, (await other.Service.GetLeaseAsync(new GetLeaseRequest { LeaseId = lease.Id }, cancellationToken: Cancellation)).Lease.EndReason);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => client.AcquireAsync(LeaseRequest.OfSize("sim0", 4096), Cancellation));
    }
}
