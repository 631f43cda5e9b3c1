// SPDX-License-Identifier: Apache-2.0

using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace BarBroker.Journal;

/// <summary>One file of the <see cref="AheadLog"/>: which run wrote it, then entries one after the other.</summary>
internal static class AheadSegment
{
    public const string Pattern = "journal.ahead-*";
    public const int HeaderSize = 96;

    /// <summary>A file that is larger was not written by a broker.</summary>
    private const long Largest = 16 << 20;

    private static ReadOnlySpan<byte> Title => "BBAHEAD2"u8;

    public static string Name(RunIdentity run, int number) => string.Create(CultureInfo.InvariantCulture, $"journal.ahead-{run.Token.ToString("N")[..12]}-{number:d6}");

    public static byte[] Header(RunIdentity run)
    {
        byte[] header = new byte[HeaderSize];
        Title.CopyTo(header);
        run.Token.TryWriteBytes(header.AsSpan(8));
        Encoding.ASCII.GetBytes(run.BootId, header.AsSpan(24));
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(60), run.Pid);
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(64), run.Wall);
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(72), run.Boot);
        return header;
    }

    /// <summary>All that can be read of a file; null if it is none of these.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static (RunIdentity Run, List<JournalEntry> Entries)? Read(string path)
    {
        if (new FileInfo(path).Length > Largest)
        {
            return null;
        }

        ReadOnlySpan<byte> bytes = File.ReadAllBytes(path);
        if (bytes.Length < HeaderSize || !bytes.StartsWith(Title))
        {
            return null;
        }

        var run = new RunIdentity(
            new Guid(bytes.Slice(8, 16)),
            Encoding.ASCII.GetString(bytes.Slice(24, RunIdentity.BootIdLength)),
            BinaryPrimitives.ReadInt32LittleEndian(bytes[60..]),
            "",
            BinaryPrimitives.ReadInt64LittleEndian(bytes[64..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[72..]));
        var entries = new List<JournalEntry>();
        for (var rest = bytes[HeaderSize..]; EntryCodec.Decode(rest, out int size) is { } entry; rest = rest[size..])
        {
            entries.Add(entry);
        }

        return (run, entries);
    }
}
