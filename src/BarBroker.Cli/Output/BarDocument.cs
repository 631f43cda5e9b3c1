// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Output;

internal sealed record BarDocument(uint Index, ulong Size, ulong Free, ulong Leased, ulong Quarantined, ulong LargestFree, double Fragmentation, ulong Pooled)
{
    public static BarDocument From(V1.Bar bar) => new(bar.Index, bar.Size, bar.Free, bar.Leased, bar.Quarantined, bar.LargestFree, bar.Fragmentation, bar.Pooled);
}
