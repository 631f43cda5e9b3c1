// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Output;

/// <param name="Use">free, leased, recalled (by each lease that has it) or quarantined.</param>
internal sealed record MapSegmentDocument(uint Bar, ulong Offset, ulong Length, string Use, IReadOnlyList<MapHolderDocument> Leases, string Pool)
{
    public static MapSegmentDocument From(V1.Segment segment, Dictionary<string, LeaseDocument> leases)
    {
        MapHolderDocument[] holders = [.. segment.LeaseIds.Select(id => leases.TryGetValue(id, out var lease) ? new MapHolderDocument(id, lease.State, lease.Owner) : new MapHolderDocument(id, null, null))];
        bool isRecalled = segment.Use == V1.Segment.Types.Use.Leased && holders.Length > 0 && holders.All(static holder => holder.State == "recalled");
        return new MapSegmentDocument(segment.Bar, segment.Range.Offset, segment.Range.Length, isRecalled ? "recalled" : Words.Of(segment.Use), holders, segment.Pool);
    }
}
