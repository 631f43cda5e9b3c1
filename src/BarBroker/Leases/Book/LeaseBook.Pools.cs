// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Policy;
using BarBroker.Pools;

namespace BarBroker.Leases;

/// <content>
/// Pools. What a pool owns is an area of its BAR with holes of its own (<see cref="RangeArea{T}"/>), in which a slot is a range of the size of a slot; so all that is true of
/// placing, waiting and preempting is true in pools. What is special: the buffers with slots of one pool have the same slots. The first of them is placed, the others follow it:
/// since slots are only ever taken whole, who has slot 3 of one has it of each.
/// </content>
internal sealed partial class LeaseBook
{
    private readonly ImmutableArray<Pool> _pools;

    public ImmutableArray<PoolInfo> Pools()
    {
        lock (_lock)
            return [.. _pools.Select(pool => new PoolInfo(pool, [.. _slots.Where(s => pool.Covers(s.Name)).Select(s => ToUsage(pool, s))]))];
    }

    private static PoolUsage ToUsage(Pool pool, DeviceSlot slot)
    {
        if (slot.Pools.FirstOrDefault(fit => fit.Pool == pool) is not { } fit)
            return new PoolUsage(slot.Name, $"the device has not been opened: {slot.Detail}");
        if (!fit.IsServed)
            return new PoolUsage(slot.Name, fit.Fault);
        var usage = new PoolUsage(slot.Name, "") { Slots = fit.Slots };
        if (pool.Buffers.OfType<SlotBuffer>().FirstOrDefault() is { } first)
        {
            RangeArea<Lease> area = slot.Bars[first.Bar]!.Area(first)!;
            usage = usage with { FreeSlots = (int)(area.Free / first.Size), QuarantinedSlots = (int)(area.Quarantined / first.Size) };
        }

        return usage with { Windows = [.. pool.Windows.Select(w => ToUsage(w, slot.Bars[w.Bar]!.Area(w)!))] };
    }

    private static BarUsage ToUsage(WindowBuffer window, RangeArea<Lease> area) =>
        new(window.Bar, area.Size, area.Free, area.Leased, area.Quarantined, area.LargestFree) { Fragmentation = area.Fragmentation, Pooled = area.Size };

    /// <summary>Whether the device is one of those to look at.</summary>
    private static bool IsFor(DeviceSlot slot, AcquireRequest request, LeaseTerms terms) =>
        terms.AllowsDevice(slot.Name) && (request.Source is null || request.Source.Covers(slot.Name));

    /// <summary>What is wrong with the request on this device, which was opened once; null if nothing is.</summary>
    private static LeaseException? CheckFit(AcquireRequest request, DeviceSlot slot)
    {
        if (request.Source is { } pool)
        {
            LeaseException? unfit = slot.Pools.FirstOrDefault(fit => fit.Pool == pool) is { } fit
                ? fit.Check(request, slot.Name)
                : new(LeaseError.Unsupported, $"pool {pool.Name} is not on device {slot.Name}; leave the device out") { Field = "device", Device = slot.Name };
            return unfit ?? AcquireValidator.CheckAgainst(request, slot.Name, slot.Description!);
        }

        if (AcquireValidator.CheckAgainst(request, slot.Name, slot.Description!) is { } refusal)
            return refusal;
        for (int i = 0; i < request.Buffers.Length && !slot.Pools.IsEmpty; i++)
        {
            BufferRequest wanted = request.Buffers[i];
            RangeArea<Lease> rest = slot.Bars[wanted.Bar]!.Rest;
            if (wanted.Size > rest.Size)
                return new(LeaseError.Invalid, $"BAR {wanted.Bar} of {slot.Name} has {ByteText.Of(rest.Size)} outside of pools; 0x{wanted.Size:x} bytes are more than that") { Field = $"buffers[{i}].size", Device = slot.Name };
            for (int r = 0; r < wanted.Ranges.Length; r++)
            {
                if (slot.Pools.Select(fit => fit.CheckNamed(wanted.Bar, wanted.Ranges[r], $"buffers[{i}].ranges[{r}]", slot.Name)).FirstOrDefault(static e => e is not null) is { } taken)
                    return taken;
            }
        }

        return null;
    }

    private static PoolFit PoolOf(DeviceSlot slot, BufferRequest wanted) => slot.Pools.First(fit => fit.Pool.Buffers.Contains(wanted.Of!));

    /// <summary>Sets apart in the device's new allocators what its pools own.</summary>
    private void LayPools(DeviceSlot slot, DeviceDescription description)
    {
        slot.Pools = [];
        foreach (Pool pool in _pools.Where(p => p.Covers(slot.Name)))
        {
            PoolFit fit = pool.FitOn(description.Bars, description.PageSize);
            if (fit.IsServed && slot.Pools.FirstOrDefault(other => other.Runs.Any(a => fit.Runs.Any(b => a.FindCommon(b) is not null))) is { } other)
                fit = new PoolFit(pool, 0, [], $"it overlaps with pool {other.Pool.Name}");
            for (int i = 0; i < fit.Runs.Length; i++)
                slot.Bars[fit.Runs[i].Bar]!.AddArea(pool.Buffers[i], fit.Runs[i]);
            slot.Pools = slot.Pools.Add(fit);
        }
    }

    /// <summary>Where a buffer with slots has to be, for the slot that another one of the lease was given; null if it is free to choose.</summary>
    internal static BarRange? Follow(ImmutableArray<BufferRequest> wanted, LeaseBuffer?[] placed, int index)
    {
        if (wanted[index].Of is not SlotBuffer slots)
            return null;
        int leader = Array.FindIndex(placed, 0, index, static p => p is not null);
        return leader < 0 || wanted[leader].Of is not SlotBuffer first ? null : slots[first.IndexOf(placed[leader]!.Ranges[0])];
    }
}
