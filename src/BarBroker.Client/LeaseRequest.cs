// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.V1;
using Google.Protobuf.WellKnownTypes;

namespace BarBroker.Client;

/// <summary>What a lease is asked for.</summary>
public sealed record LeaseRequest
{
    /// <summary>The device's name. Empty: any device that fits.</summary>
    public string Device { get; init; } = "";

    /// <summary>The pool to lease from. Empty: outside of pools.</summary>
    public string Pool { get; init; } = "";

    /// <summary>Of the pool, exactly this slot, from 0. Null: any.</summary>
    public int? Slot { get; init; }

    /// <summary>1 to 8; each becomes one dmabuf. From a pool: none, unless it has memory that is asked for by size.</summary>
    public required ImmutableArray<BufferSpec> Buffers { get; init; }

    /// <summary>Read-write unless said otherwise.</summary>
    public Access Access { get; init; } = Access.ReadWrite;

    /// <summary>How the CPU caches mappings; non-cached unless said otherwise.</summary>
    public MemoryAttribute MemoryAttribute { get; init; }

    /// <summary>How long the lease lives without a renewal. Null: the broker's default. The broker clamps it; <see cref="Lease.Ttl"/> tells what was granted.</summary>
    public TimeSpan? Ttl { get; init; }

    /// <summary>The lease also ends when renewals show no new progress for this long. Null: no such limit.</summary>
    public TimeSpan? HangLimit { get; init; }

    /// <summary>How long to wait for room, or for the device. Null or zero: not at all. When it is over, <see cref="LeaseRefusedException"/>.</summary>
    public TimeSpan? Wait { get; init; }

    /// <summary>Who goes first among those that wait, and who preempts whom, within the bounds of the broker's policy. Null: the policy's default.</summary>
    public int? Priority { get; init; }

    /// <summary>For operators to select by, and for logs. Up to 16; keys of 1 to 63 characters <c>a-z 0-9 . _ - /</c>, values of up to 255.</summary>
    public ImmutableDictionary<string, string> Labels { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>Up to 64 characters: asking again with the same id gives the same lease for as long as it lives. Null: one is made up.</summary>
    public string? RequestId { get; init; }

    /// <summary>What keeps the lease alive. Read <see cref="KeepAliveMode.WhileProcessLives"/> before using it.</summary>
    public KeepAliveMode KeepAlive { get; init; }

    /// <summary>A lease on so many bytes anywhere in a BAR.</summary>
    public static LeaseRequest OfSize(string device, ulong size, int bar = 0) => new() { Device = device, Buffers = [BufferSpec.OfSize(size, bar)] };

    /// <summary>A lease on one slot of a pool: one buffer for each BAR in which the pool has slots.</summary>
    public static LeaseRequest FromPool(string pool) => new() { Pool = pool, Buffers = [] };

    /// <summary>A lease on so many bytes of a pool that has memory to be asked for by size.</summary>
    public static LeaseRequest FromPool(string pool, ulong size, bool allowSplit = false) => new() { Pool = pool, Buffers = [BufferSpec.OfSize(size, allowSplit: allowSplit)] };

    internal AcquireRequest ToMessage()
    {
        var message = new AcquireRequest
        {
            Device = Device,
            Pool = Pool,
            Slot = Slot is { } slot ? checked((uint)slot) : null,
            Access = Access,
            MemoryAttribute = MemoryAttribute,
            RequestId = RequestId ?? Guid.NewGuid().ToString("N"),
            Ttl = Ttl is { } ttl ? Duration.FromTimeSpan(ttl) : null,
            HangLimit = HangLimit is { } limit ? Duration.FromTimeSpan(limit) : null,
            Wait = Wait is { } wait ? Duration.FromTimeSpan(wait) : null,
        };
        if (Priority is { } priority)
        {
            message.Priority = priority;
        }

        foreach (var buffer in Buffers)
        {
            message.Buffers.Add(buffer.ToMessage());
        }

        foreach (var (key, value) in Labels)
        {
            message.Labels.Add(key, value);
        }

        return message;
    }
}
