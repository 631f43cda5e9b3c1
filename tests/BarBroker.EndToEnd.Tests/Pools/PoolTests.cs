// SPDX-License-Identifier: Apache-2.0

using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Testing;
using BarBroker.V1;
using Google.Protobuf.WellKnownTypes;
using Mono.Unix.Native;

namespace BarBroker.EndToEnd.Tests.Pools;

/// <summary>Processes that take slots of one pool: two on one device, each of two buffers, scrubbed with 0x5a5a5a5a.</summary>
public sealed class PoolTests : TestBase
{
    private const byte Scrub = 0x5a;
    private const byte Secret = 0x42;

    private static readonly AcquireRequest Wanted = new() { Pool = "queues", Wait = Duration.FromTimeSpan(Patience.Long) };

    [Fact]
    public async Task Acquire_PoolIsFullAndAnOwnerDies_TheNextGetsItsSlotAndSeesNothingOfIt()
    {
        var (broker, hub) = await StartAsync();
        var first = Own(await LeaseHolder.HoldAsync(broker, await hub.StartAsync("first"), Wanted));
        var second = Own(await LeaseHolder.HoldAsync(broker, await hub.StartAsync("second"), Wanted));
        Assert.Equal([0u, 1u], new[] { first, second }.Select(static holder => holder.Lease.Slot!.Value));
        Assert.Equal("0", await first.Process.AskAsync($"expect {Scrub}"));
        await first.Process.AskAsync($"fill {Secret}");

        var third = LeaseHolder.HoldAsync(broker, await hub.StartAsync("third"), Wanted);
        using var admin = RpcClient.Dial(broker.OperatorSocket);
        await Wait.Until(async () => (await admin.Operator.ListLeasesAsync(new OperatorListLeasesRequest())).Waiting.Any(static waiting => waiting.Pool == "queues"), "the third waits", Patience.Long);
        first.Process.Signal(Signum.SIGKILL);

        var next = Own(await Wait.For(third, "the third gets a slot", Patience.Long));
        Assert.Equal((0u, "queues"), (next.Lease.Slot, next.Lease.Pool));
        Assert.Equal(first.Lease.Buffers, next.Lease.Buffers);
        Assert.Equal("0", await next.Process.AskAsync($"expect {Scrub}"));
        Assert.Equal(EndReason.ClientExited, (await admin.Operator.GetLeaseAsync(new OperatorGetLeaseRequest { LeaseId = first.Lease.Id })).Lease.EndReason);
        Assert.Empty(broker.Errors);
    }

    [Fact]
    public async Task Acquire_ScrubFails_IsRefusedAndNobodySeesWhatWasLeft()
    {
        var directory = Own(new TestDirectory());
        var (broker, hub) = await StartAsync(directory.File("faults"));
        var first = Own(await LeaseHolder.HoldAsync(broker, await hub.StartAsync("first"), Wanted));
        await first.Process.AskAsync($"fill {Secret}");
        await first.Leases.ReleaseAsync(new ReleaseRequest { LeaseId = first.Lease.Id });
        await File.WriteAllTextAsync(directory.File("faults"), "scrub fail EIO\n", Cancellation);
        using var client = RpcClient.Dial(broker.ClientSocket);

        var refused = await Assert.ThrowsAsync<Grpc.Core.RpcException>(async () => await client.Leases.AcquireAsync(new AcquireRequest { Pool = "queues" }));

        Assert.Equal(Grpc.Core.StatusCode.Unavailable, refused.StatusCode);
        Assert.Contains("scrub failed", refused.Status.Detail, StringComparison.Ordinal);
        Assert.Equal(2u, (await client.Leases.ListPoolsAsync(new ListPoolsRequest())).Pools[0].Devices[0].FreeSlots);
        await File.WriteAllTextAsync(directory.File("faults"), "", Cancellation);
        var second = Own(await LeaseHolder.HoldAsync(broker, await hub.StartAsync("second"), Wanted));
        Assert.Equal(0u, second.Lease.Slot);
        Assert.Equal("0", await second.Process.AskAsync($"expect {Scrub}"));
    }

    private async Task<(Daemon Broker, HolderProcesses Hub)> StartAsync(string? faults = null)
    {
        var directory = Own(new TestDirectory());
        var hub = Own(new HolderProcesses(directory.Path));
        string configuration = new BrokerConfiguration().Device("sim0", "1MiB", faults)
            .Pool("""{ "name": "queues", "count": 2, "scrub": "0x5a5a5a5a", "buffers": [ { "size": "4KiB" }, { "offset": "512KiB", "size": "64KiB" } ] }""").Write(directory.Path);
        return (Own(await Daemon.StartAsync(directory.Path, configuration)), hub);
    }
}
