// SPDX-License-Identifier: Apache-2.0

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
    int Generation);
