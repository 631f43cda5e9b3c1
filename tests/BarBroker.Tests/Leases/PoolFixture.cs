// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;
using BarBroker.Pools;
using static BarBroker.Tests.Leases.LeaseFixture;

namespace BarBroker.Tests.Leases;

/// <summary>Pools on fake devices, whose BAR 0 has 256 pages unless said otherwise, and BAR 2 four times as many.</summary>
internal static class PoolFixture
{
    /// <summary>Slots of a page in BAR 0, from page 8 on.</summary>
    public static Pool Doorbells(int count = 4, uint? scrub = null) => new("doorbells", ["*"], [new SlotBuffer(0, 8 * Page, Page, Page)], count, scrub);

    /// <summary>Slots of a page in BAR 0, one every four pages, each with eight pages in BAR 2.</summary>
    public static Pool Queues(int count = 4, uint? scrub = null, params string[] devices) =>
        new("queues", devices.Length == 0 ? ["*"] : [.. devices], [new SlotBuffer(0, 0, Page, 4 * Page), new SlotBuffer(2, 64 * Page, 8 * Page, 8 * Page)], count, scrub);

    /// <summary>Pages 16 to 31 of BAR 2, in multiples of two.</summary>
    public static Pool Memory(bool allowSplit = true, uint? scrub = null) => new("memory", ["*"], [new WindowBuffer(2, 16 * Page, 16 * Page, 2 * Page, 2 * Page, allowSplit)], null, scrub);

    public static LeaseFixture With(params Pool[] pools) => With(pools, new FakeDevice("dev0"));

    public static LeaseFixture With(Pool[] pools, params FakeDevice[] devices) => new(new LeaseOptions { Pools = [.. pools] }, devices);

    /// <summary>Any slot of the pool, on any device.</summary>
    public static AcquireRequest From(string pool, int? slot = null) => Request() with { Device = "", Pool = pool, Slot = slot };

    public static AcquireRequest SizedFrom(string pool, ulong size, bool split = false) => Request(new BufferRequest(0, [], size, 0, split)) with { Device = "", Pool = pool };

    public static (string Device, int? Slot) Place(this LeaseInfo lease) => (lease.Device, lease.PoolSlot);
}
