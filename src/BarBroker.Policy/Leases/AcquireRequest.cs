// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Pools;

namespace BarBroker.Leases;

/// <summary>What a client asks for. Nothing in it is trusted: the lease manager checks all of it.</summary>
/// <param name="Device">Name, or empty for any that fits.</param>
/// <param name="Ttl">Null: the default.</param>
/// <param name="HangLimit">Null: none.</param>
/// <param name="RequestId">Empty: none.</param>
internal sealed record AcquireRequest(
    string Device,
    ImmutableArray<BufferRequest> Buffers,
    BufferAccess Access,
    MemoryAttribute Attribute,
    TimeSpan? Ttl,
    TimeSpan? HangLimit,
    ImmutableDictionary<string, string> Labels,
    string RequestId)
{
    /// <summary>Null: the default. The policy bounds it.</summary>
    public int? Priority { get; init; }

    /// <summary>How long to wait for room; null or zero: not at all.</summary>
    public TimeSpan? Wait { get; init; }

    /// <summary>The name of the pool to lease from; empty: none.</summary>
    public string Pool { get; init; } = "";

    /// <summary>Of the pool, exactly this slot; null: any.</summary>
    public int? Slot { get; init; }

    /// <summary>Where the lease's spans belong, as W3C's traceparent has it; empty: nobody traces.</summary>
    public string Trace { get; init; } = "";

    /// <summary>The pool, once <see cref="PoolRequest.Resolve"/> has found it and made its buffers the request's.</summary>
    public Pool? Source { get; init; }
}
