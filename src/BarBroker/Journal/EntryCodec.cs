// SPDX-License-Identifier: Apache-2.0

using System.Buffers.Binary;
using System.Numerics;
using BarBroker.Records;
using Google.Protobuf;

namespace BarBroker.Journal;

/// <summary>
/// Entries as bytes: length and CRC-32C of what follows, the numbers, the event, the lease and its record. Whatever is not exactly that is no entry: it is how the
/// end of a file is found that was being written when its broker was killed.
/// </summary>
internal static class EntryCodec
{
    private const int Frame = 8;

    /// <summary>Number, wall, boot, and the lengths of event and lease.</summary>
    private const int Fixed = (3 * sizeof(long)) + (2 * sizeof(int));

    /// <summary>Far more than any entry has.</summary>
    private const int Longest = 1 << 20;

    /// <summary>Into the buffer, or a larger one in its place. Returns how many bytes.</summary>
    public static int Encode(JournalEntry entry, ref byte[] buffer)
    {
        var record = entry.Lease is null ? null : entry.Marks.ToRecord();
        int eventBytes = entry.Event.CalculateSize();
        int leaseBytes = entry.Lease?.CalculateSize() ?? 0;
        int length = Fixed + eventBytes + leaseBytes + (record?.CalculateSize() ?? 0);
        if (buffer.Length < Frame + length)
        {
            buffer = new byte[(Frame + length) * 2];
        }

        var body = buffer.AsSpan(Frame, length);
        BinaryPrimitives.WriteInt64LittleEndian(body, (long)entry.Number);
        BinaryPrimitives.WriteInt64LittleEndian(body[8..], entry.Wall);
        BinaryPrimitives.WriteInt64LittleEndian(body[16..], entry.Boot);
        BinaryPrimitives.WriteInt32LittleEndian(body[24..], eventBytes);
        BinaryPrimitives.WriteInt32LittleEndian(body[28..], leaseBytes);
        var rest = body[Fixed..];
        entry.Event.WriteTo(rest[..eventBytes]);
        entry.Lease?.WriteTo(rest.Slice(eventBytes, leaseBytes));
        record?.WriteTo(rest[(eventBytes + leaseBytes)..]);
        BinaryPrimitives.WriteInt32LittleEndian(buffer, length);
        BinaryPrimitives.WriteUInt32LittleEndian(buffer.AsSpan(4), Checksum(body));
        return Frame + length;
    }

    /// <summary>The entry at the beginning of the bytes, and how many it has; null if there is none.</summary>
    public static JournalEntry? Decode(ReadOnlySpan<byte> bytes, out int size)
    {
        size = 0;
        if (bytes.Length < Frame + Fixed)
        {
            return null;
        }

        int length = BinaryPrimitives.ReadInt32LittleEndian(bytes);
        if (length is < Fixed or > Longest || length > bytes.Length - Frame)
        {
            return null;
        }

        var body = bytes.Slice(Frame, length);
        if (Checksum(body) != BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]))
        {
            return null;
        }

        size = Frame + length;
        return Read(body);
    }

    private static JournalEntry? Read(ReadOnlySpan<byte> body)
    {
        int eventBytes = BinaryPrimitives.ReadInt32LittleEndian(body[24..]);
        int leaseBytes = BinaryPrimitives.ReadInt32LittleEndian(body[28..]);
        var rest = body[Fixed..];
        if (eventBytes < 0 || leaseBytes < 0 || (long)eventBytes + leaseBytes > rest.Length)
        {
            return null;
        }

        try
        {
            return new JournalEntry(
                V1.HistoryEvent.Parser.ParseFrom(rest[..eventBytes]),
                leaseBytes > 0 ? V1.Lease.Parser.ParseFrom(rest.Slice(eventBytes, leaseBytes)) : null,
                leaseBytes > 0 ? LeaseRecord.Parser.ParseFrom(rest[(eventBytes + leaseBytes)..]).ToMarks() : default,
                BinaryPrimitives.ReadInt64LittleEndian(body[8..]),
                BinaryPrimitives.ReadInt64LittleEndian(body[16..]))
            { Number = (ulong)BinaryPrimitives.ReadInt64LittleEndian(body) };
        }
        catch (InvalidProtocolBufferException)
        {
            return null;
        }
    }

    /// <summary>CRC-32C.</summary>
    public static uint Checksum(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        while (bytes.Length >= sizeof(ulong))
        {
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
            bytes = bytes[sizeof(ulong)..];
        }

        foreach (byte rest in bytes)
        {
            crc = BitOperations.Crc32C(crc, rest);
        }

        return ~crc;
    }
}
