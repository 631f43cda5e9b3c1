// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Output;

/// <summary>How much of a pool is in which use on one device.</summary>
/// <param name="Fault">Why the device does not serve it; empty if it does.</param>
internal sealed record PoolUsageDocument(string Device, string Fault, uint Slots, uint FreeSlots, uint LeasedSlots, uint QuarantinedSlots, IReadOnlyList<BarDocument> Windows)
{
    public static PoolUsageDocument From(V1.PoolUsage usage) => new(
        usage.Device, usage.Fault, usage.Slots, usage.FreeSlots, usage.LeasedSlots, usage.QuarantinedSlots, [.. usage.Windows.Select(BarDocument.From)]);
}
