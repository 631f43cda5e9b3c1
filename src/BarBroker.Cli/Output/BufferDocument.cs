// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Output;

internal sealed record BufferDocument(uint Bar, ulong Size, IReadOnlyList<RangeDocument> Ranges)
{
    public static BufferDocument From(V1.Buffer buffer) =>
        new(buffer.Bar, buffer.Size, [.. buffer.Ranges.Select(range => new RangeDocument(range.Offset, range.Length))]);
}
