// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Policy;
using BarBroker.Pools;

namespace BarBroker.Leases;

/// <summary>The bounds that hold for every lease, and the rules that give some callers others.</summary>
internal sealed record LeaseOptions
{
    /// <summary>In order, the first that matches decides. Null: no policy, everybody may lease everything within these bounds.</summary>
    public ImmutableArray<PolicyRule>? Rules { get; init; }

    /// <summary>In the order of the configuration. Other ones are served only after a restart.</summary>
    public ImmutableArray<Pool> Pools { get; init; } = [];

    public TimeSpan DefaultTtl { get; init; } = TimeSpan.FromSeconds(30);

    public TimeSpan MinTtl { get; init; } = TimeSpan.FromSeconds(1);

    public TimeSpan MaxTtl { get; init; } = TimeSpan.FromHours(1);

    public TimeSpan TicketTtl { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Leases that have not ended, per uid.</summary>
    public int MaxLeasesPerUid { get; init; } = 1024;

    /// <summary>Bytes in leases that have not ended, per uid.</summary>
    public ulong MaxBytesPerUid { get; init; } = ulong.MaxValue;

    /// <summary>Acquires that wait, per uid.</summary>
    public int MaxWaitingPerUid { get; init; } = 64;

    /// <summary>Nobody is put ahead of one who has waited for this long.</summary>
    public TimeSpan WaitPatience { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>Ended leases that stay readable, the oldest forgotten first.</summary>
    public int EndedLeasesKept { get; init; } = 1024;

    /// <summary>How long a revoke may take before its lease is called stuck. It goes on all the same.</summary>
    public TimeSpan RevokeTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Between failed attempts: the first pause, doubled each time up to the last.</summary>
    public TimeSpan RevokeRetryMin { get; init; } = TimeSpan.FromMilliseconds(100);

    public TimeSpan RevokeRetryMax { get; init; } = TimeSpan.FromSeconds(30);

    public EscalationOptions Escalation { get; init; } = new();
}
