// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Pools;

/// <summary>Where in a BAR a pool has its memory; bytes.</summary>
internal abstract record PoolBuffer(int Bar, ulong Offset)
{
    /// <summary>What of it there is in a BAR of so many bytes; a count of 0 where that is nothing.</summary>
    public abstract RangeRun RunIn(ulong barSize);

    public abstract bool IsMultipleOf(ulong pageSize);
}
