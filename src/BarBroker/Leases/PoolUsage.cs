// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;

namespace BarBroker.Leases;

/// <summary>How much of a pool is in which use on one device.</summary>
/// <param name="Fault">Why the device does not serve the pool; empty if it does.</param>
internal sealed record PoolUsage(string Device, string Fault)
{
    public int Slots { get; init; }

    public int FreeSlots { get; init; }

    public int QuarantinedSlots { get; init; }

    public int LeasedSlots => Slots - FreeSlots - QuarantinedSlots;

    /// <summary>What is asked for by size, in the order of the configuration.</summary>
    public ImmutableArray<BarUsage> Windows { get; init; } = [];
}
