// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.Numerics;
using BarBroker.Leases;

namespace BarBroker.Pools;

/// <summary>The one place where a request for a pool becomes a request for buffers, on whatever device. All that comes after sees buffers only, each of which says where it is from.</summary>
internal static class PoolRequest
{
    /// <exception cref="LeaseException">There is no such pool, or it does not have what is asked for.</exception>
    public static AcquireRequest Resolve(AcquireRequest request, ImmutableArray<Pool> pools)
    {
        if (request.Pool.Length == 0)
            return request.Slot is null ? request : throw Invalid("slot", "a slot goes with a pool");
        var pool = pools.FirstOrDefault(pool => pool.Name == request.Pool)
            ?? throw new LeaseException(LeaseError.NotFound, $"there is no pool {request.Pool}; ask the operator, or list the pools") { Field = "pool" };
        if (request.Slot is not null && !pool.HasSlots)
            throw Invalid("slot", $"pool {pool.Name} has no slots; ask for a size");
        if (request.Buffers.IsDefaultOrEmpty && !pool.HasSlots)
            throw Invalid("buffers", $"pool {pool.Name} has no slots; say how many bytes are wanted, by buffers with a size");
        if (!request.Buffers.IsDefaultOrEmpty && !pool.Windows.Any())
            throw Invalid("buffers", $"pool {pool.Name} has only slots; leave buffers out");
        var buffers = ImmutableArray.CreateBuilder<BufferRequest>();
        foreach (var slots in pool.Buffers.OfType<SlotBuffer>())
        {
            // A slot that is named is a range like any other; else the first free one is taken, as the first free range of that size in the slots.
            buffers.Add(request.Slot is >= 0 and < Pool.MaxSlots and var slot ? new BufferRequest(slots.Bar, [slots[slot]]) { Of = slots } : new BufferRequest(slots.Bar, [], slots.Size) { Of = slots });
        }

        for (int i = 0; i < (request.Buffers.IsDefault ? 0 : request.Buffers.Length); i++)
            buffers.Add(Sized(request.Buffers[i], $"buffers[{i}]", pool));
        return request with { Buffers = buffers.DrainToImmutable(), Source = pool };
    }

    private static BufferRequest Sized(BufferRequest buffer, string field, Pool pool)
    {
        var windows = pool.Windows.ToArray();
        // Who has only one window need not know in which BAR it is.
        var window = Array.Find(windows, window => window.Bar == buffer.Bar) ?? (buffer.Bar == 0 && windows.Length == 1 ? windows[0] : null)
            ?? throw Invalid($"{field}.bar", $"pool {pool.Name} has memory in BAR {string.Join(" and ", windows.Select(static window => window.Bar))}, not {buffer.Bar}");
        if (!buffer.Ranges.IsDefaultOrEmpty)
            throw Invalid($"{field}.ranges", $"of pool {pool.Name}, ask for a size, not for ranges");
        if (buffer.Size == 0 || buffer.Size % window.Granularity != 0)
            throw Invalid($"{field}.size", $"a size in pool {pool.Name} is a multiple of {window.Granularity} bytes, and not 0; 0x{buffer.Size:x} is not");
        if (buffer.Alignment != 0 && !BitOperations.IsPow2(buffer.Alignment))
            throw Invalid($"{field}.alignment", $"an alignment is a power of two, not 0x{buffer.Alignment:x}");
        return buffer with { Bar = window.Bar, Alignment = Math.Max(buffer.Alignment, window.Alignment), AllowSplit = buffer.AllowSplit && window.AllowSplit, Of = window };
    }

    private static LeaseException Invalid(string field, string message) => new(LeaseError.Invalid, message) { Field = field };
}
