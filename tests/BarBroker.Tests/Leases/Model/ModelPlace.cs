// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

/// <summary>The place of a waiter as it was last seen.</summary>
/// <param name="Index">In the queue of the device.</param>
/// <param name="IsKept">Those behind are kept from it: the waiter is within its quota, and the device open.</param>
internal sealed record ModelPlace(int Device, int Index, ImmutableArray<LeaseBuffer> Buffers, bool IsKept, bool HasPreempted)
{
    public bool IsSamePlace(ModelPlace other) => Device == other.Device && Buffers.Length == other.Buffers.Length
        && Buffers.Zip(other.Buffers).All(static p => p.First.Bar == p.Second.Bar && p.First.Ranges.SequenceEqual(p.Second.Ranges));
}
