// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>What is done about a stuck lease, each after it has been stuck for so long. Null: never.</summary>
internal sealed record EscalationOptions
{
    /// <summary>Until then a failed revoke is a warning; from then on it is an error.</summary>
    public TimeSpan Notify { get; init; }

    /// <summary>No new leases on its device.</summary>
    public TimeSpan? Cordon { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>SIGKILL for its client, if that is seen to hold the buffer.</summary>
    public TimeSpan? Kill { get; init; }

    /// <summary>Its device is reset, which ends every lease there.</summary>
    public TimeSpan? Reset { get; init; }
}
