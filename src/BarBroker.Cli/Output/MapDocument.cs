// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Output;

/// <summary>A device as `device map` draws it.</summary>
internal sealed record MapDocument(string Name, string State, uint Leases, IReadOnlyList<MapBarDocument> Bars)
{
    public static MapDocument From(V1.Device device, IEnumerable<V1.Segment> segments, IEnumerable<V1.Lease> leases)
    {
        var byId = leases.ToDictionary(static lease => lease.Id, LeaseDocument.From);
        var byBar = segments.Select(segment => MapSegmentDocument.From(segment, byId)).ToLookup(static segment => segment.Bar);
        return new MapDocument(
            device.Name,
            DeviceDocument.From(device).StateWithCauses(),
            device.Leases,
            [.. device.Bars.Select(bar => MapBarDocument.From(BarDocument.From(bar), [.. byBar[bar.Index]]))]);
    }
}
