// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;

namespace BarBroker.Devices.Vfio;

/// <summary>What an open device was seen to do.</summary>
/// <param name="Bars">Those of which a buffer can be exported.</param>
/// <param name="RevokeFeature">The number under which one buffer can be revoked.</param>
/// <param name="MemoryAttributeFeature">The number under which a buffer's memory attribute can be set.</param>
/// <param name="Misbehaved">Numbers that took a request and did not do what they were asked: they are something else, and what they did is not known.</param>
internal sealed record VfioCapabilities(
    RevocationDomain Domain,
    string Detail,
    ImmutableArray<BarDescription> Bars,
    int? RevokeFeature,
    int? MemoryAttributeFeature,
    ImmutableArray<int> Misbehaved)
{
    /// <summary>Processes can map the buffers.</summary>
    public bool IsMappable { get; init; }
}
