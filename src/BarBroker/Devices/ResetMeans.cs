// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;

namespace BarBroker.Devices;

/// <summary>How a device is reset, as found when it was opened.</summary>
/// <param name="Detail">In words.</param>
/// <param name="Neighbours">Other functions that a reset of the slot or bus would hit, as PCI addresses; with any, no such reset is made.</param>
internal sealed record ResetMeans(ResetWay Way, string Detail, ImmutableArray<string> Neighbours)
{
    public static ResetMeans ByFunction(string detail) => new(ResetWay.Function, detail, []);
}
