// SPDX-License-Identifier: Apache-2.0

using System.Buffers.Binary;
using BarBroker.Linux;

namespace BarBroker.Leases;

/// <summary>
/// The tickets that are out. Found by hash, not compared byte by byte: with 128 random bits, the time that a lookup takes tells nothing of use.
/// Belongs to the lease book's lock.
/// </summary>
internal sealed class TicketStore
{
    public const int Length = 16;

    private readonly Dictionary<UInt128, Lease> _tickets = [];

    public int Count => _tickets.Count;

    /// <summary>A new ticket for the lease, which takes the place of an earlier one.</summary>
    public byte[] Issue(Lease lease)
    {
        Drop(lease);
        byte[] ticket = RandomBytes.Get(Length);
        lease.Ticket = BinaryPrimitives.ReadUInt128LittleEndian(ticket);
        _tickets[lease.Ticket] = lease;
        return ticket;
    }

    public Lease? Find(ReadOnlySpan<byte> ticket) =>
        ticket.Length == Length && _tickets.TryGetValue(BinaryPrimitives.ReadUInt128LittleEndian(ticket), out Lease? lease) ? lease : null;

    public void Drop(Lease lease)
    {
        if (lease.Ticket != default && _tickets.Remove(lease.Ticket))
            lease.Ticket = default;
    }
}
