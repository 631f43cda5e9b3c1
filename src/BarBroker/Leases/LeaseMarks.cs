// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Linux;
using BarBroker.Linux.Processes;

namespace BarBroker.Leases;

/// <summary>What only the broker itself needs of a lease, to take it up again: time stamps as they are, not as spans from a moment.</summary>
/// <param name="TicketDeadline">0: no ticket was issued.</param>
/// <param name="LifeDeadline"><see cref="Deadline.Never"/> where there is none; so is <paramref name="RecallDeadline"/>.</param>
/// <param name="Fetched">The buffers were handed over.</param>
/// <param name="Generation">Of the device, when this was noted.</param>
internal readonly record struct LeaseMarks(
    string RequestId,
    long GrantedAt,
    long TtlDeadline,
    long TicketDeadline,
    long LifeDeadline,
    long RecallDeadline,
    TimeSpan RecallGrace,
    bool Fetched,
    int Generation)
{
    /// <summary>When this was noted: of two records of a lease, the one that counts is the later one.</summary>
    public long NotedAt { get; init; }

    /// <summary>When the end of its lifetime is announced; <see cref="Deadline.Never"/> if it is not, or was.</summary>
    public long LifeNotice { get; init; } = Deadline.Never;

    public long EndingAt { get; init; }

    public long StuckAt { get; init; }

    /// <summary>Of the terms; null: none.</summary>
    public TimeSpan? MaxLifetime { get; init; }

    public bool NamesRanges { get; init; }

    public ImmutableArray<uint> Groups { get; init; } = [];

    public ProcessIdentity Process { get; init; }

    /// <summary>The dmabufs, in the order of the buffers; empty before they exist, and where nothing is kept over a restart.</summary>
    public ImmutableArray<FileIdentity> Files { get; init; } = [];

    /// <summary>Where its spans belong, as W3C's traceparent has it; null or empty: nobody traces.</summary>
    public string? Trace { get; init; }

    /// <summary>Of the PCI device; null or empty: it is simulated.</summary>
    public string? Address { get; init; }
}
