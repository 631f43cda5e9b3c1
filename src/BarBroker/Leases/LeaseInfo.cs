// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;

namespace BarBroker.Leases;

/// <summary>A lease as it was at one moment; immutable, made on demand, safe to hand to anybody inside the daemon.</summary>
/// <param name="Id">Short text, never reused.</param>
/// <param name="Epoch">Fencing token; grows with every grant.</param>
/// <param name="Remaining">Until the deadline; null once the end was decided.</param>
/// <param name="RecallRemaining">Until the revoke, while recalled; else null.</param>
/// <param name="RecallReason">What it ends with when that is over; None unless recalled.</param>
/// <param name="RecallAcknowledged">Its client has said that it knows.</param>
/// <param name="RevokeError">What the last failed attempt said, or empty.</param>
/// <param name="PolicyRule">The rule that it was granted by; empty without a policy.</param>
/// <param name="LifetimeRemaining">Until the end that no renewal moves; null where there is none, or once the end was decided.</param>
internal sealed record LeaseInfo(
    string Id,
    ulong Epoch,
    string Device,
    ImmutableArray<LeaseBuffer> Buffers,
    BufferAccess Access,
    MemoryAttribute Attribute,
    LeaseOwner Owner,
    ImmutableDictionary<string, string> Labels,
    LeaseState State,
    EndReason EndReason,
    string EndDetail,
    TimeSpan Ttl,
    TimeSpan? Remaining,
    TimeSpan Age,
    TimeSpan? HangLimit,
    TimeSpan? RecallRemaining,
    int RevokeAttempts,
    string RevokeError,
    string PolicyRule,
    TimeSpan? LifetimeRemaining,
    int Priority = 0,
    EndReason RecallReason = EndReason.None,
    string RecallDetail = "",
    bool RecallAcknowledged = false)
{
    /// <summary>Empty: from none.</summary>
    public string Pool { get; init; } = "";

    public int? PoolSlot { get; init; }

    /// <summary>For the journal.</summary>
    public LeaseMarks Marks { get; init; }

    /// <summary>On the board; null where there is none, or not any more.</summary>
    public BoardPlace? Place { get; init; }

    /// <summary>This change was recorded already, see <see cref="ILeaseObserver.LeaseRecorded"/>.</summary>
    public bool IsRecorded { get; init; }

    /// <summary>While stuck: since the first attempt failed or did not answer; else null.</summary>
    public TimeSpan? StuckFor { get; init; }

    /// <summary>What was done about it while it was stuck.</summary>
    public ImmutableArray<EscalationInfo> Escalations { get; init; } = [];

    /// <summary>The step that this change tells of; null where it tells of something else.</summary>
    public EscalationInfo? Escalated { get; init; }
}
