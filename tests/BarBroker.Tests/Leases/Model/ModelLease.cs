// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

/// <summary>What the model expects of one lease. Times are milliseconds.</summary>
internal sealed class ModelLease
{
    public const long Never = long.MaxValue;

    public required string Id { get; init; }

    public required ulong Epoch { get; init; }

    public required int Device { get; init; }

    public required string Rule { get; set; }

    /// <summary>Who was behind it in the queue when it was granted.</summary>
    public required HashSet<string> Behind { get; init; }

    public required LeaseOwner Owner { get; init; }

    public required ImmutableArray<LeaseBuffer> Buffers { get; init; }

    public required string RequestId { get; init; }

    public required long Ttl { get; init; }

    public required long Hang { get; init; }

    /// <summary>Calls whose answer is out.</summary>
    public List<PendingCall> Calls { get; } = [];

    /// <summary>Calls that were not given up, answered or not.</summary>
    public int Outstanding { get; set; }

    /// <summary>Calls that were answered with the buffers, or that somebody else has them.</summary>
    public List<PendingCall> Deliveries { get; } = [];

    /// <summary>Tickets that another one took the place of.</summary>
    public List<ReadOnlyMemory<byte>> OldTickets { get; } = [];

    /// <summary>The acquire was answered with a grant.</summary>
    public bool Granted { get; set; }

    public LeaseState State { get; set; } = LeaseState.Granted;

    public bool Fetched { get; set; }

    public ReadOnlyMemory<byte> Ticket { get; set; }

    public long TicketDeadline { get; set; }

    public long TtlDeadline { get; set; }

    public ulong Progress { get; set; }

    public long ProgressAt { get; set; }

    public required long GrantedAt { get; init; }

    public required bool NamesRanges { get; init; }

    /// <summary>What it is recalled with where the policy ends it.</summary>
    public long Grace { get; set; }

    public long LifeDeadline { get; set; } = Never;

    public int Priority { get; init; }

    public long LifeNotice { get; set; } = Never;

    public long RecallDeadline { get; set; } = Never;

    public EndReason RecallReason { get; set; }

    public bool Acknowledged { get; set; }

    /// <summary>As last seen: the revoke failed, or does not answer.</summary>
    public bool Stuck { get; set; }

    /// <summary>Stuck because there was no answer in time.</summary>
    public bool Unanswered { get; set; }

    public long StuckAt { get; set; } = -1;

    /// <summary>When its device was to be reset for it.</summary>
    public long ResetAt { get; set; } = -1;

    /// <summary>What was done about it since, and what came of that.</summary>
    public Dictionary<EscalationStep, EscalationOutcome> Steps { get; } = [];

    /// <summary>None while it lives.</summary>
    public EndReason Decided { get; set; }

    public long DecidedAt { get; set; }

    /// <summary>In the step that is going on: what may have ended it.</summary>
    public HashSet<EndReason> May { get; } = [];

    /// <summary>In the step that is going on: it must not live on.</summary>
    public bool Must { get; set; }

    /// <summary>As last seen.</summary>
    public bool Ended { get; set; }

    public bool Live => Decided == EndReason.None;

    /// <summary>Others that read may be there, too.</summary>
    public required bool ReadOnly { get; init; }

    public required string Pool { get; init; }

    public ulong Bytes => Buffers.Aggregate(0UL, static (sum, b) => sum + b.Size);

    public void MustEnd(EndReason reason)
    {
        if (!Live)
            return;
        May.Add(reason);
        Must = true;
    }

    /// <summary>When time ends it, and with what.</summary>
    public IEnumerable<(long Due, EndReason Reason)> Deadlines(long graceUntil)
    {
        yield return (RecallDeadline, RecallReason);
        yield return (LifeDeadline, EndReason.Policy);
        if (!Granted)
            yield break;
        yield return (Math.Max(TtlDeadline, graceUntil), EndReason.Expired);
        if (!Fetched)
            yield return (TicketDeadline, EndReason.TicketExpired);
        else if (Hang > 0)
            yield return (Math.Max(ProgressAt + Hang, graceUntil), EndReason.ClientHung);
    }
}
