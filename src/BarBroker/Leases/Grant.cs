// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>The answer to an acquire.</summary>
/// <param name="Ticket">128 random bits for the fd channel; empty if the fds were already fetched. A secret: never logged.</param>
internal sealed record Grant(LeaseInfo Lease, ReadOnlyMemory<byte> Ticket, TimeSpan TicketTtl);
