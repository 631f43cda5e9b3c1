// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Output;

/// <summary>Where a pool has its memory: slots, with a size and a stride, or a window, with the others. Null is what does not apply; of the length also: to the end of the BAR.</summary>
internal sealed record PoolBufferDocument(uint Bar, ulong Offset, ulong? Size, ulong? Stride, ulong? Length, ulong? Granularity, ulong? Alignment, bool? AllowSplit)
{
    public static PoolBufferDocument From(V1.PoolBuffer buffer) => buffer.Size > 0
        ? new(buffer.Bar, buffer.Offset, buffer.Size, buffer.Stride, null, null, null, null)
        : new(buffer.Bar, buffer.Offset, null, null, buffer.Length > 0 ? buffer.Length : null, buffer.Granularity, buffer.Alignment, buffer.AllowSplit);
}
