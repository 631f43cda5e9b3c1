// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;

namespace BarBroker.Leases;

internal enum DeviceState
{
    Ready = 1,

    /// <summary>No new leases; <see cref="DeviceInfo.Cordons"/> says why.</summary>
    Cordoned = 2,

    /// <summary>Not open; <see cref="DeviceInfo.Detail"/> says why.</summary>
    Unavailable = 3,

    /// <summary>The kernel has asked for it, or it is to be reset: no new leases, those that live are recalled, and then it is closed.</summary>
    Leaving = 4,
}

/// <summary>A device as it was at one moment.</summary>
/// <param name="Description">Null if it never opened.</param>
/// <param name="Leases">Leases that have not ended.</param>
/// <param name="Generation">How often it was opened.</param>
/// <param name="Waiting">Acquires that wait for it.</param>
internal sealed record DeviceInfo(
    string Name,
    DeviceState State,
    string Detail,
    DeviceDescription? Description,
    ImmutableArray<BarUsage> Bars,
    int Leases,
    int Generation,
    int Waiting = 0)
{
    /// <summary>Why it grants nothing, also while it is not open; empty: it is not cordoned.</summary>
    public ImmutableArray<DeviceCordon> Cordons { get; init; } = [];

    /// <summary>The names of the pools that it serves.</summary>
    public ImmutableArray<string> Pools { get; init; } = [];
}
