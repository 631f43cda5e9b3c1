// SPDX-License-Identifier: Apache-2.0

using BarBroker.Tests.Hosting;
using BarBroker.V1;

namespace BarBroker.Tests.Rpc;

public sealed class PoolTests : BrokerTest
{
    protected override string More => """
        "pools": [ { "name": "doorbells", "buffers": [ { "size": "4KiB" } ], "count": 4, "scrub": "0x00000000" },
                   { "name": "secret", "buffers": [ { "bar": 2, "granularity": "4KiB" } ] } ],
        "policy": { "rules": [ { "name": "all", "lease": { "pools": "door*" } } ] },
        """;

    [Fact]
    public async Task ListPools_AsThePolicyAllows_OperatorsSeeAll()
    {
        var lease = (await Client.AcquireAsync(new AcquireRequest { Pool = "doorbells", Slot = 2 }, cancellationToken: Cancellation)).Lease;
        Assert.Equal(("doorbells", 2u, "sim0"), (lease.Pool, lease.Slot, lease.Device));

        var own = Assert.Single((await Client.ListPoolsAsync(new ListPoolsRequest(), cancellationToken: Cancellation)).Pools);
        var all = (await Operator.ListPoolsAsync(new ListPoolsRequest(), cancellationToken: Cancellation)).Pools;

        Assert.Equal(["doorbells", "secret"], all.Select(static pool => pool.Name));
        Assert.Equal(own, all[0]);
        var usage = Assert.Single(own.Devices);
        Assert.Equal(("sim0", 4u, 3u, 1u, 0u), (usage.Device, usage.Slots, usage.FreeSlots, usage.LeasedSlots, usage.QuarantinedSlots));
        Assert.Equal((0u, 0ul, 4096ul, 4096ul), (own.Scrub, own.Buffers[0].Offset, own.Buffers[0].Size, own.Buffers[0].Stride));
        Assert.Equal((65536ul, 65536ul), (all[1].Devices[0].Windows[0].Size, all[1].Devices[0].Windows[0].Free));
        var device = await Operator.GetDeviceAsync(new GetDeviceRequest { Device = "sim0" }, cancellationToken: Cancellation);
        Assert.Equal(["doorbells", "secret"], device.Device.Pools);
        Assert.Contains(device.Segments, segment => segment.Pool == "doorbells" && segment.LeaseIds.Contains(lease.Id));
    }

    [Fact]
    public async Task Scrape_WithPools_SlotsBytesAndScrubs()
    {
        await Client.AcquireAsync(new AcquireRequest { Pool = "doorbells" }, cancellationToken: Cancellation);
        using var http = new HttpClient();

        string text = await http.GetStringAsync(new Uri(Broker.MetricsUrl), Cancellation);

        Assert.Matches("""barbroker_pool_slots\{[^}]*device="sim0"[^}]*pool="doorbells"[^}]*use="free"[^}]*\} 3""", text);
        Assert.Matches("""barbroker_pool_bytes\{[^}]*bar="2"[^}]*pool="secret"[^}]*use="free"[^}]*\} 65536""", text);
        Assert.Matches("""barbroker_pool_fragmentation_ratio\{[^}]*pool="secret"[^}]*\} 0""", text);
        Assert.Matches("""barbroker_scrub_duration_seconds_count\{[^}]*pool="doorbells"[^}]*\} 1""", text);
    }
}
