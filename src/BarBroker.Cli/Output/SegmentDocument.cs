// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Output;

internal sealed record SegmentDocument(uint Bar, ulong Offset, ulong Length, string Use, IReadOnlyList<string> LeaseIds, string Pool = "")
{
    public static SegmentDocument From(V1.Segment segment) =>
        new(segment.Bar, segment.Range.Offset, segment.Range.Length, Words.Of(segment.Use), [.. segment.LeaseIds], segment.Pool);
}
