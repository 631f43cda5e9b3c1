// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

/// <content>Slots and memory of pools, and that nobody gets a queue that was not scrubbed for it.</content>
internal sealed partial class ModelWorld
{
    /// <summary>When each page was last scrubbed, if nobody has had it since: how often the device had been opened and reset by then.</summary>
    private readonly Dictionary<(int Device, int Bar, int Page), (int Opens, int Resets)> _scrubbed = [];

    private void WatchScrubs(int device)
    {
        FakeDevice fake = _fixture.Devices[device];
        fake.FilledRange = (bar, range, word) =>
        {
            foreach (int page in PagesOf(range))
            {
                ExpectInside(ModelPools.IsScrubbed(bar, page) && word == ModelPools.Word, $"{fake.Name} BAR {bar} page {page} is scrubbed with 0x{word:x}");
                _scrubbed[(device, bar, page)] = (fake.Opens, fake.Resets);
            }
        };
        fake.Exported = (bar, ranges) =>
        {
            foreach (int page in ranges.SelectMany(PagesOf).Where(p => ModelPools.IsScrubbed(bar, p)))
            {
                // What was written before the device was closed or reset may be lost.
                ExpectInside(_scrubbed.Remove((device, bar, page), out var when) && when == (fake.Opens, fake.Resets), $"{fake.Name} BAR {bar} page {page} is exported, and not scrubbed");
                _tally.Count(Deed.Scrubbed);
            }
        };
    }

    private void ExpectInside(bool condition, string failure)
    {
        if (!condition)
            _failureInside ??= new InvalidOperationException(failure);
    }

    private static AcquireRequest MakePoolRequest(Operation op, bool isExplicit)
    {
        if (op.A / 64 % 2 == 0)
            return LeaseFixture.Request() with { Pool = ModelPools.Queues.Name, Slot = isExplicit ? op.C % 3 : null };
        BufferRequest[] memory = op.C % 3 == 0 ? [] : [new BufferRequest(2, [], (ulong)(1 + (op.D % 6)) * Page, op.D % 3 == 0 ? Page << (op.D % 4) : 0, op.D % 4 == 1)];
        return LeaseFixture.Request(memory) with { Pool = ModelPools.Frames.Name, Slot = isExplicit ? op.C % 2 : null };
    }

    /// <summary>The lowest slot that is free, and the same in every buffer.</summary>
    private void CheckSlot(int device, AcquireRequest request, LeaseInfo info, List<LeaseBuffer>? kept)
    {
        Assert.Equal(request.Pool, info.Pool);
        if (request.Source is null)
        {
            Assert.Null(info.PoolSlot);
            return;
        }

        _tally.Count(request.Pool == ModelPools.Queues.Name ? Deed.QueueGranted : Deed.FrameGranted);
        int slot = Assert.NotNull(info.PoolSlot);
        bool isQueue = request.Source == ModelPools.Queues;
        Assert.Equal((ulong)((isQueue ? 8 : 11) + slot) * Page, info.Buffers[0].Ranges[0].Offset);
        if (isQueue)
            Assert.Equal((ulong)(32 + (2 * slot)) * Page, info.Buffers[1].Ranges[0].Offset);
        if (request.Slot is { } named)
            Assert.Equal(named, slot);
        else if (kept is not null)
            Assert.Equal(Array.IndexOf(FreePages(device, 0, kept), true, isQueue ? 8 : 11), (isQueue ? 8 : 11) + slot);
    }

    private void CheckPools()
    {
        ImmutableArray<PoolInfo> pools = Manager.Pools();
        for (int d = 0; d < DeviceCount; d++)
        {
            bool[] free = FreePages(d, 0, []);
            Assert.Equal((3, free[8..11].Count(static f => f)), (pools[0].Devices[d].Slots, pools[0].Devices[d].FreeSlots));
            Assert.Equal((2, free[11..13].Count(static f => f)), (pools[1].Devices[d].Slots, pools[1].Devices[d].FreeSlots));
            Assert.Equal((ulong)FreePages(d, 2, [])[38..52].Count(static f => f) * Page, pools[1].Devices[d].Windows[0].Free);
        }
    }
}
