// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Leases;
using BarBroker.Policy;

namespace BarBroker.Pools;

/// <summary>A named group of slots, or of memory that is asked for by size, on one or many devices. What is a pool's is leased through the pool only.</summary>
/// <param name="Devices">Names with <c>*</c> and <c>?</c>.</param>
/// <param name="Buffers">What a lease gets: one buffer for each that has slots, in this order, and then what it asks for of the windows.</param>
/// <param name="Count">The most slots on one device; null: as many as there is room for.</param>
/// <param name="Scrub">What is written over a range before it is granted, again and again, little-endian; null: nothing.</param>
internal sealed record Pool(string Name, ImmutableArray<string> Devices, ImmutableArray<PoolBuffer> Buffers, int? Count, uint? Scrub)
{
    /// <summary>On one device: each costs the broker some memory, leased or not.</summary>
    public const int MaxSlots = 65_536;

    public bool HasSlots => SlotBuffers > 0;

    /// <summary>How many of a lease's buffers are slots; they come first.</summary>
    public int SlotBuffers => Buffers.Count(static buffer => buffer is SlotBuffer);

    public IEnumerable<WindowBuffer> Windows => Buffers.OfType<WindowBuffer>();

    public bool Covers(string device)
    {
        foreach (string pattern in Devices)
        {
            if (Glob.Matches(pattern, device))
                return true;
        }

        return false;
    }

    /// <summary>Arrays are equal by reference only, so they are compared on their own.</summary>
    public bool IsSameAs(Pool other) => Devices.SequenceEqual(other.Devices) && Buffers.SequenceEqual(other.Buffers) && this with { Devices = other.Devices, Buffers = other.Buffers } == other;

    /// <summary>What it comes to on a device with these BARs.</summary>
    public PoolFit FitOn(ImmutableArray<BarDescription> bars, ulong pageSize)
    {
        var runs = ImmutableArray.CreateBuilder<RangeRun>(Buffers.Length);
        int slots = HasSlots ? Count ?? MaxSlots : 0;
        foreach (var buffer in Buffers)
        {
            var bar = bars.FirstOrDefault(bar => bar.Index == buffer.Bar);
            if (bar is null)
                return Unfit($"it has no BAR {buffer.Bar}");
            if (!buffer.IsMultipleOf(pageSize))
                return Unfit($"its pages are of {ByteText.Of(pageSize)}, and a buffer of the pool is not made of such");
            var run = buffer.RunIn(bar.Size - (bar.Size % pageSize));
            if (run.Count == 0)
                return Unfit($"BAR {bar.Index} has {ByteText.Of(bar.Size)}, and the pool begins at 0x{buffer.Offset:x} with {ByteText.Of(run.First.Length)}");
            if (buffer is SlotBuffer)
                slots = Math.Min(slots, run.Count);
            runs.Add(run);
        }

        return new PoolFit(this, slots, [.. runs.Select((run, i) => Buffers[i] is SlotBuffer ? run with { Count = slots } : run)], "");
    }

    private PoolFit Unfit(string why) => new(this, 0, [], why);
}
