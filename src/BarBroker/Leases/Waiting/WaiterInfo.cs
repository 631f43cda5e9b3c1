// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;

namespace BarBroker.Leases;

/// <summary>An acquire that waits, as it was at one moment, in the queue of one device.</summary>
/// <param name="Position">From 1.</param>
/// <param name="Remaining">Until it is refused.</param>
/// <param name="Kept">The place on this device that those behind it are kept from; empty: none.</param>
/// <param name="HasPreempted">Leases were recalled to make room there.</param>
internal sealed record WaiterInfo(
    string Device,
    int Position,
    LeaseOwner Owner,
    ImmutableDictionary<string, string> Labels,
    ImmutableArray<BufferRequest> Buffers,
    BufferAccess Access,
    ulong Bytes,
    int Priority,
    TimeSpan Waited,
    TimeSpan Remaining,
    ImmutableArray<LeaseBuffer> Kept,
    bool HasPreempted,
    string PolicyRule)
{
    /// <summary>Empty: none.</summary>
    public string Pool { get; init; } = "";
}
