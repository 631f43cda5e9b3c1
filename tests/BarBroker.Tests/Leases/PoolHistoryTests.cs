// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;
using CsCheck;
using static BarBroker.Tests.Leases.LeaseFixture;
using static BarBroker.Tests.Leases.PoolFixture;

namespace BarBroker.Tests.Leases;

public sealed class PoolHistoryTests
{
    private const int Slots = 3;

    /// <summary>
    /// Any slots, named ones and memory are asked for with and without waiting, and leases end, at random, on two devices. Nobody waits for any slot while one is free, nor for
    /// a named one that nobody has; the devices see no overlap (see the fixture); and when all that is held ends, all that waits is granted and nothing is left over.
    /// </summary>
    [Fact]
    public void Acquire_RandomHistoryWithWaiters_NoWakeUpIsLostAndNothingIsLeft()
    {
        Gen.Select(Gen.Int[0, 9], Gen.Int[0, 5]).Array[80].Sample(steps =>
        {
            using var f = With([Queues(Slots, 0), Memory()], new FakeDevice("dev0"), new FakeDevice("dev1"));
            foreach (var (kind, which) in steps)
            {
                if (kind < 4)
                    End(f, which);
                else
                    Ask(f, kind, which);
                f.Pump();
                Check(f);
            }

            while (f.Manager.List(LeaseFilter.All).Length > 0)
            {
                End(f, 0);
                f.Pump();
            }

            Assert.Empty(f.Manager.Waiting(LeaseFilter.All));
            Assert.All(f.Manager.Pools()[0].Devices, static device => Assert.Equal((Slots, 0), (device.FreeSlots, device.QuarantinedSlots)));
            Assert.All(f.Manager.Pools()[1].Devices, static device => Assert.Equal((16 * Page, 16 * Page), (device.Windows[0].Free, device.Windows[0].LargestFree)));
        }, iter: 150);
    }

    private static void End(LeaseFixture f, int which)
    {
        LeaseInfo[] held = [.. f.Manager.List(LeaseFilter.All)];
        if (held.Length > 0)
            f.Manager.End(held[which % held.Length].Id, EndReason.Operator, "");
    }

    private static void Ask(LeaseFixture f, int kind, int which)
    {
        AcquireRequest request = kind switch
        {
            4 or 5 => From("queues"),
            6 => From("queues", which % Slots) with { Device = which < Slots ? "dev0" : "dev1" },
            7 => From("queues") with { Device = which < Slots ? "dev0" : "dev1" },
            _ => SizedFrom("memory", (ulong)(1 + which) * 2 * Page, split: kind == 9),
        };
        TimeSpan? wait = which == 5 ? null : TimeSpan.FromHours(1);
        // What is refused is refused; Check sees what is not.
        _ = f.Manager.AcquireAsync(request with { Wait = wait, Ttl = TimeSpan.FromHours(1), RequestId = "" }, Owner((uint)which), CancellationToken.None).AsTask();
    }

    private static void Check(LeaseFixture f)
    {
        LeaseInfo[] slots = [.. f.Manager.List(LeaseFilter.All).Where(static l => l.Pool == "queues")];
        foreach (PoolUsage device in f.Manager.Pools()[0].Devices)
        {
            int held = slots.Count(l => l.Device == device.Device);
            Assert.Equal(held, slots.Where(l => l.Device == device.Device).Select(static l => l.PoolSlot).Distinct().Count());
            Assert.Equal((Slots - held, held), (device.FreeSlots, device.LeasedSlots));
            foreach (WaiterInfo waiter in f.Manager.Waiting(LeaseFilter.All with { Device = device.Device }).Where(static w => w.Pool == "queues"))
            {
                int? named = waiter.Buffers[0].Ranges.IsEmpty ? null : (int)(waiter.Buffers[0].Ranges[0].Offset / (4 * Page));
                Assert.True(named is null ? device.FreeSlots == 0 : slots.Any(l => l.Device == device.Device && l.PoolSlot == named), $"a request for slot {named?.ToString() ?? "any"} of {device.Device} waits for nothing");
            }
        }
    }
}
