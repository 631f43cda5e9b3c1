// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;

namespace BarBroker.Leases;

internal enum SegmentUse
{
    Free = 1,
    Leased = 2,

    /// <summary>Held by a lease that is revoking or stuck.</summary>
    Quarantined = 3,
}

/// <summary>A run of a BAR in one use; several holders where read-only leases share it.</summary>
/// <param name="Pool">Whose it is; empty: no pool's.</param>
internal sealed record Segment(int Bar, BarRange Range, SegmentUse Use, ImmutableArray<string> LeaseIds, string Pool = "");
