// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Output;

/// <param name="Picture">Each letter an equal part of the BAR; see <see cref="BarMap"/>.</param>
internal sealed record MapBarDocument(uint Index, ulong Size, ulong Free, ulong Leased, ulong Recalled, ulong Quarantined, string Picture, IReadOnlyList<MapSegmentDocument> Segments)
{
    public static MapBarDocument From(BarDocument bar, IReadOnlyList<MapSegmentDocument> segments)
    {
        ulong recalled = segments.Where(static segment => segment.Use == "recalled").Aggregate(0ul, static (sum, segment) => sum + segment.Length);
        return new MapBarDocument(bar.Index, bar.Size, bar.Free, bar.Leased - Math.Min(recalled, bar.Leased), recalled, bar.Quarantined, BarMap.Cells(bar.Size, segments), segments);
    }
}
