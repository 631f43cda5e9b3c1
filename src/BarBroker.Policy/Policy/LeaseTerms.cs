// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Policy;

/// <summary>What an acquire is granted on, if there is room: the request, cut to what the policy allows its caller.</summary>
internal sealed record LeaseTerms
{
    /// <summary>The policy that decided.</summary>
    public required LeasePolicy Policy { get; init; }

    /// <summary>The rule that decided; null without a policy.</summary>
    public PolicyRule? Rule { get; init; }

    public string RuleName => Rule?.Name ?? "";

    public required TimeSpan Ttl { get; init; }

    /// <summary>Null: none.</summary>
    public TimeSpan? HangLimit { get; init; }

    /// <summary>From the grant on; null: as long as it is renewed.</summary>
    public TimeSpan? MaxLifetime { get; init; }

    public TimeSpan RecallGrace { get; init; }

    public int Priority { get; init; }

    public bool MayPreempt { get; init; }

    /// <summary>Of the uid's leases that have not ended, as the next one.</summary>
    public required int MaxLeases { get; init; }

    public required ulong MaxBytes { get; init; }

    /// <summary>Null: no limit.</summary>
    public int? MaxWaiting { get; init; }

    public AcquireRate? Rate { get; init; }

    public bool AllowsDevice(string name) => Rule?.Lease is not { } rule || rule.AllowsDevice(name);
}
