// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Linux;
using BarBroker.Policy;
using BarBroker.Pools;

namespace BarBroker.Leases;

/// <summary>
/// The record of one lease. Only <see cref="LeaseBook"/> changes it, under its lock. There may be tens of thousands, so it holds no timer, and a
/// completion source only while somebody waits. All times are timestamps, all spans their units.
/// </summary>
internal sealed class Lease(ulong epoch, DeviceSlot slot, OwnerRecord owner, AcquireRequest request) : Claim
{
    private long _ttlDeadline;
    private long _progressAt;

    /// <summary>Fencing token; 0 only in a placeholder.</summary>
    public ulong Epoch { get; } = epoch;

    /// <summary>No lease: it holds in an allocator what is kept for a waiter.</summary>
    public bool IsPlaceholder => Epoch == 0;

    public string Id { get; } = LeaseId.FromEpoch(epoch);

    public DeviceSlot Slot { get; } = slot;

    public OwnerRecord Owner { get; } = owner;

    public BufferAccess Access { get; } = request.Access;

    public MemoryAttribute Attribute { get; } = request.Attribute;

    public ImmutableDictionary<string, string> Labels { get; } = request.Labels;

    public string RequestId { get; } = request.RequestId;

    /// <summary>See <see cref="AcquireRequest.Trace"/>.</summary>
    public string Trace { get; } = request.Trace;

    /// <summary>The request named ranges, in some of its buffers.</summary>
    public bool NamesRanges { get; } = request.Buffers.Any(static b => b.Size == 0);

    /// <summary>Null: from none.</summary>
    public Pool? Pool { get; } = request.Source;

    /// <summary>Null: it has none.</summary>
    public int? PoolSlot => Pool?.Buffers.FirstOrDefault(static b => b is SlotBuffer) is SlotBuffer slots ? slots.IndexOf(Buffers[0].Ranges[0]) : null;

    public ImmutableArray<LeaseBuffer> Buffers { get; set; } = [];

    public ulong Bytes { get; set; }

    public LeaseState State { get; set; } = LeaseState.Granted;

    public ExportPhase Phase { get; set; }

    /// <summary>The dmabufs that exist. The device thread empties it when access to all of them is over.</summary>
    public ImmutableArray<ExportedBuffer> Exported { get; set; } = [];

    /// <summary>Access to all of them is over. Belongs to the device thread; the state follows.</summary>
    public bool IsProven { get; set; }

    /// <summary>Which files those are, in the order of <see cref="Buffers"/>, where they are kept over a restart; else empty.</summary>
    public ImmutableArray<FileIdentity> Files { get; set; } = [];

    /// <summary>Somebody holds the buffers while no broker runs.</summary>
    public bool IsKept { get; set; }

    /// <summary>When its scrub began.</summary>
    public long ScrubSince { get; set; }

    /// <summary>The ticket was redeemed.</summary>
    public bool Fetched { get; set; }

    public UInt128 Ticket { get; set; }

    public long TicketDeadline { get; set; }

    public long GrantedAt { get; set; }

    public TimeSpan Ttl { get; set; }

    public long TtlUnits { get; set; }

    public long TtlDeadline
    {
        get => _ttlDeadline;
        set
        {
            _ttlDeadline = value;
            Place?.Beat(value);
        }
    }

    /// <summary>Zero: no limit.</summary>
    public TimeSpan HangLimit { get; set; }

    public long HangUnits { get; set; }

    /// <summary>The application's counter as last heard; 0 before the first heartbeat. Any other value is progress.</summary>
    public ulong Progress { get; set; }

    public long ProgressAt
    {
        get => _progressAt;
        set
        {
            _progressAt = value;
            Place?.Progress(Progress, value);
        }
    }

    /// <summary>Where what changes with each heartbeat is kept over a restart; null: nowhere.</summary>
    public BoardPlace? Place { get; set; }

    /// <summary>What the policy granted it on.</summary>
    public LeaseTerms Terms { get; set; } = null!;

    /// <summary>The end of its lifetime, which nothing moves.</summary>
    public long LifeDeadline { get; set; } = Never;

    /// <summary>When that end is announced; <see cref="Deadline.Never"/> if it is not, or was.</summary>
    public long LifeNotice { get; set; } = Never;

    public long RecallDeadline { get; set; } = Never;

    /// <summary>The waiter that has chosen to have it recalled, until the recall is made, before the lock is left; null: none.</summary>
    public Waiter? OwedTo { get; set; }

    /// <summary>When it will have to go by that.</summary>
    public long OwedDeadline { get; set; } = Never;

    public EndReason RecallReason { get; set; }

    public string RecallDetail { get; set; } = "";

    /// <summary>Its client has said that it knows. It changes nothing but what is shown.</summary>
    public bool RecallAcknowledged { get; set; }

    public EndReason EndReason { get; set; }

    public string EndDetail { get; set; } = "";

    public long EndingAt { get; set; }

    /// <summary>When the revoke counts as stuck; then, when it is tried again.</summary>
    public long RevokeDue { get; set; } = Never;

    public int RevokeAttempts { get; set; }

    public string RevokeError { get; set; } = "";

    /// <summary>The attempt that is under way was counted as failed, because it took too long.</summary>
    public bool Unanswered { get; set; }

    /// <summary>When it got stuck.</summary>
    public long StuckAt { get; set; }

    /// <summary>The steps that were taken since, each once.</summary>
    public ImmutableArray<Escalation> Escalations { get; set; } = [];

    /// <summary>Set while somebody waits for the end.</summary>
    public TaskCompletionSource<LeaseInfo>? EndWaiter { get; set; }

    public bool IsLive => State < LeaseState.Revoking;

    /// <summary>Others that read only may have the same ranges. Not where they are scrubbed: that would be under the eyes of who reads there already.</summary>
    public bool IsReadOnly => Access == BufferAccess.ReadOnly && Pool?.Scrub is null;

    public bool HasTaken(EscalationStep step)
    {
        foreach (Escalation taken in Escalations)
        {
            if (taken.Step == step)
                return true;
        }

        return false;
    }

    public static Lease PlaceholderOf(Waiter waiter) => new(0, waiter.Slots[0], waiter.Owner, waiter.Request);

    public LeaseInfo ToInfo(in LeaseClock clock, long now) => new(
        Id,
        Epoch,
        Slot.Name,
        Buffers,
        Access,
        Attribute,
        Owner.Owner,
        Labels,
        State,
        EndReason,
        EndDetail,
        Ttl,
        IsLive ? clock.Span(Math.Max(0, Math.Min(Phase == ExportPhase.Done ? TtlDeadline : now + TtlUnits, LifeDeadline) - now)) : null,
        clock.Span(Math.Max(0, now - GrantedAt)),
        HangUnits == 0 ? null : HangLimit,
        State == LeaseState.Recalled ? clock.Span(Math.Max(0, Math.Min(RecallDeadline, LifeDeadline) - now)) : null,
        RevokeAttempts,
        RevokeError,
        Terms.RuleName,
        IsLive && LifeDeadline != Never ? clock.Span(Math.Max(0, LifeDeadline - now)) : null,
        Terms.Priority,
        State == LeaseState.Recalled ? RecallReason : EndReason.None,
        State == LeaseState.Recalled ? RecallDetail : "",
        RecallAcknowledged)
    {
        Pool = Pool?.Name ?? "",
        PoolSlot = PoolSlot,
        Marks = new LeaseMarks(RequestId, GrantedAt, TtlDeadline, TicketDeadline, LifeDeadline, RecallDeadline, Terms.RecallGrace, Fetched, Slot.Generation)
        {
            NotedAt = now,
            LifeNotice = LifeNotice,
            EndingAt = EndingAt,
            StuckAt = StuckAt,
            MaxLifetime = Terms.MaxLifetime,
            NamesRanges = NamesRanges,
            Groups = Owner.Owner.Groups,
            Process = Owner.Owner.Process,
            Files = Files,
            Trace = Trace,
            Address = Slot.Description?.Address,
        },
        Place = Place,
        StuckFor = State == LeaseState.Stuck ? clock.Span(Math.Max(0, now - StuckAt)) : null,
        Escalations = ToInfo(Escalations, clock, now),
    };

    private static ImmutableArray<EscalationInfo> ToInfo(ImmutableArray<Escalation> escalations, LeaseClock clock, long now) =>
        escalations.IsEmpty ? [] : [.. escalations.Select(e => e.ToInfo(clock, now))];
}
