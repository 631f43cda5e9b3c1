// SPDX-License-Identifier: Apache-2.0

using System.Buffers.Binary;
using System.Numerics;
using System.Text;
using BarBroker.Leases;
using Google.Protobuf;

namespace BarBroker.Journal;

/// <summary>
/// Entries as bytes: length and CRC-32C of what follows, the numbers, the request id, the event, the lease. Whatever is not exactly that is no entry: it is how the
/// end of a file is found that was being written when its broker was killed.
/// </summary>
internal static class EntryCodec
{
    private const int Frame = 8;
    private const int Numbers = 9 * sizeof(long);

    /// <summary>Far more than any entry has.</summary>
    private const int Longest = 1 << 20;

    /// <summary>Into the buffer, or a larger one in its place. Returns how many bytes.</summary>
    public static int Encode(JournalEntry entry, ref byte[] buffer)
    {
        string requestId = entry.Marks.RequestId ?? "";
        int textBytes = Encoding.UTF8.GetByteCount(requestId);
        int eventBytes = entry.Event.CalculateSize();
        int leaseBytes = entry.Lease?.CalculateSize() ?? 0;
        int length = Numbers + (4 * sizeof(int)) + 1 + textBytes + eventBytes + leaseBytes;
        if (buffer.Length < Frame + length)
        {
            buffer = new byte[(Frame + length) * 2];
        }

        var body = buffer.AsSpan(Frame, length);
        WriteNumbers(body, entry);
        var rest = body[Numbers..];
        BinaryPrimitives.WriteInt32LittleEndian(rest, entry.Marks.Generation);
        BinaryPrimitives.WriteInt32LittleEndian(rest[4..], textBytes);
        BinaryPrimitives.WriteInt32LittleEndian(rest[8..], eventBytes);
        BinaryPrimitives.WriteInt32LittleEndian(rest[12..], leaseBytes);
        rest[16] = entry.Marks.Fetched ? (byte)1 : (byte)0;
        rest = rest[17..];
        Encoding.UTF8.GetBytes(requestId, rest);
        entry.Event.WriteTo(rest.Slice(textBytes, eventBytes));
        entry.Lease?.WriteTo(rest.Slice(textBytes + eventBytes, leaseBytes));
        BinaryPrimitives.WriteInt32LittleEndian(buffer, length);
        BinaryPrimitives.WriteUInt32LittleEndian(buffer.AsSpan(4), Checksum(body));
        return Frame + length;
    }

    /// <summary>The entry at the beginning of the bytes, and how many it has; null if there is none.</summary>
    public static JournalEntry? Decode(ReadOnlySpan<byte> bytes, out int size)
    {
        size = 0;
        if (bytes.Length < Frame + Numbers + 17)
        {
            return null;
        }

        int length = BinaryPrimitives.ReadInt32LittleEndian(bytes);
        if (length is < Numbers + 17 or > Longest || length > bytes.Length - Frame)
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

    private static void WriteNumbers(Span<byte> body, JournalEntry entry)
    {
        var marks = entry.Marks;
        ReadOnlySpan<long> numbers =
        [
            (long)entry.Number, entry.Wall, entry.Boot, marks.GrantedAt, marks.TtlDeadline, marks.TicketDeadline, marks.LifeDeadline, marks.RecallDeadline, marks.RecallGrace.Ticks,
        ];
        for (int i = 0; i < numbers.Length; i++)
        {
            BinaryPrimitives.WriteInt64LittleEndian(body[(i * sizeof(long))..], numbers[i]);
        }
    }

    private static JournalEntry? Read(ReadOnlySpan<byte> body)
    {
        Span<long> numbers = stackalloc long[Numbers / sizeof(long)];
        for (int i = 0; i < numbers.Length; i++)
        {
            numbers[i] = BinaryPrimitives.ReadInt64LittleEndian(body[(i * sizeof(long))..]);
        }

        var rest = body[Numbers..];
        int generation = BinaryPrimitives.ReadInt32LittleEndian(rest);
        int textBytes = BinaryPrimitives.ReadInt32LittleEndian(rest[4..]);
        int eventBytes = BinaryPrimitives.ReadInt32LittleEndian(rest[8..]);
        int leaseBytes = BinaryPrimitives.ReadInt32LittleEndian(rest[12..]);
        bool fetched = rest[16] != 0;
        rest = rest[17..];
        if (textBytes < 0 || eventBytes < 0 || leaseBytes < 0 || (long)textBytes + eventBytes + leaseBytes != rest.Length)
        {
            return null;
        }

        try
        {
            var marks = new LeaseMarks(
                Encoding.UTF8.GetString(rest[..textBytes]), numbers[3], numbers[4], numbers[5], numbers[6], numbers[7], TimeSpan.FromTicks(numbers[8]), fetched, generation);
            return new JournalEntry(
                V1.HistoryEvent.Parser.ParseFrom(rest.Slice(textBytes, eventBytes)),
                leaseBytes > 0 ? V1.Lease.Parser.ParseFrom(rest[(textBytes + eventBytes)..]) : null,
                marks,
                numbers[1],
                numbers[2])
            { Number = (ulong)numbers[0] };
        }
        catch (InvalidProtocolBufferException)
        {
            return null;
        }
    }

    private static uint Checksum(ReadOnlySpan<byte> bytes)
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
