// SPDX-License-Identifier: Apache-2.0

using BarBroker.Testing;
using Grpc.Core;

namespace BarBroker.Client.Tests;

/// <summary>The pools of the broker under test: doorbells, with three slots that are scrubbed with zeros, and memory, 64 KiB in multiples of 8 KiB.</summary>
public sealed class PoolTests(BrokerFixture fixture) : ClientTestBase, IClassFixture<BrokerFixture>
{
    [Fact]
    public async Task Acquire_FromPool_SlotThatNobodyLeftAnythingIn()
    {
        var client = await ConnectAsync(fixture.Broker);
        await using (var lease = await client.AcquireAsync(LeaseRequest.FromPool("doorbells") with { Slot = 1 }, Cancellation))
        {
            Assert.Equal(("doorbells", 1, "sim0"), (lease.Pool, lease.Slot, lease.Device));
            using var mapping = lease.Buffers[0].Map();
            mapping.CopyFrom(0, "a secret"u8);
        }

        await using var next = await client.AcquireAsync(LeaseRequest.FromPool("doorbells") with { Slot = 1 }, Cancellation);

        using var seen = next.Buffers[0].Map(writable: false);
        byte[] content = new byte[4096];
        seen.CopyTo(0, content);
        Assert.Equal(new byte[4096], content);
    }

    [Fact]
    public async Task Acquire_SizeFromPool_AnyWindow()
    {
        var client = await ConnectAsync(fixture.Broker);

        await using var lease = await client.AcquireAsync(LeaseRequest.FromPool("memory", 16384), Cancellation);

        Assert.Equal(("memory", null, 2, 16384ul), (lease.Pool, lease.Slot, lease.Buffers[0].Bar, lease.Buffers[0].Size));
        Assert.Equal(48 * 1024ul, (await client.ListPoolsAsync(Cancellation)).Single(static pool => pool.Name == "memory").Devices[0].Windows[0].Free);
        var refused = await Assert.ThrowsAsync<LeaseRefusedException>(() => client.AcquireAsync(LeaseRequest.FromPool("memory", 4096), Cancellation));
        Assert.Equal((StatusCode.InvalidArgument, "buffers[0].size"), (refused.Code, refused.Field));
    }
}
