// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Pools;

namespace BarBroker.Leases;

/// <summary>Memory asked for, to become one dmabuf: either explicit ranges, or a size.</summary>
/// <param name="Ranges">Exactly these; empty when <paramref name="Size"/> is given.</param>
/// <param name="Size">Bytes; 0 when <paramref name="Ranges"/> is given.</param>
/// <param name="Alignment">For a size; 0 means the page size.</param>
/// <param name="AllowSplit">For a size: several smaller ranges will do.</param>
internal sealed record BufferRequest(int Bar, ImmutableArray<BarRange> Ranges, ulong Size = 0, ulong Alignment = 0, bool AllowSplit = false)
{
    /// <summary>The buffer of a pool that it comes from, and from nowhere else; null: from what is no pool's.</summary>
    public PoolBuffer? Of { get; init; }
}
