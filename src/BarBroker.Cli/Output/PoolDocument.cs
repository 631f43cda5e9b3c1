// SPDX-License-Identifier: Apache-2.0

using System.Globalization;

namespace BarBroker.Cli.Output;

/// <summary>A pool as barctl writes it; sizes are bytes.</summary>
/// <param name="Scrub">The pattern, such as 0x00000000; null: it is not scrubbed.</param>
internal sealed record PoolDocument(string Name, IReadOnlyList<PoolBufferDocument> Buffers, string? Scrub, IReadOnlyList<PoolUsageDocument> Devices)
{
    public static PoolDocument From(V1.Pool pool) => new(
        pool.Name,
        [.. pool.Buffers.Select(PoolBufferDocument.From)],
        pool.Scrub is { } word ? string.Create(CultureInfo.InvariantCulture, $"0x{word:x8}") : null,
        [.. pool.Devices.Select(PoolUsageDocument.From)]);
}
