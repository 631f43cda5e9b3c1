// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;

namespace BarBroker.Leases;

/// <summary>Which leases are meant: every condition that is set must hold.</summary>
/// <param name="States">Empty: any that is not <see cref="LeaseState.Ended"/>, or any at all with <paramref name="IncludeEnded"/>.</param>
internal sealed record LeaseFilter(
    string Device,
    uint? Uid,
    int? Pid,
    ImmutableDictionary<string, string> Labels,
    ImmutableArray<LeaseState> States,
    bool IncludeEnded)
{
    public static LeaseFilter All { get; } = new("", null, null, ImmutableDictionary<string, string>.Empty, [], false);
}
