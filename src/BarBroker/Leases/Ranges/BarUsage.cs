// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>How much of a BAR is in which use, in bytes.</summary>
internal sealed record BarUsage(int Bar, ulong Size, ulong Free, ulong Leased, ulong Quarantined, ulong LargestFree)
{
    /// <summary>Outside of pools, or in the one that this is about: 0 where all that is free is in one run, near 1 where it is in many.</summary>
    public double Fragmentation { get; init; }

    /// <summary>What pools own of it, in whatever use.</summary>
    public ulong Pooled { get; init; }
}
