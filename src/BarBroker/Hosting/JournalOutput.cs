// SPDX-License-Identifier: Apache-2.0

using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using BarBroker.Linux;
using Microsoft.Extensions.Logging.Abstractions;

namespace BarBroker.Hosting;

/// <summary>
/// Entries for journald in its own protocol (systemd's JOURNAL_NATIVE_PROTOCOL), with fields to search by: <c>LEASE</c>, <c>DEVICE</c>, <c>UID</c>, <c>PID</c>, <c>REASON</c>,
/// <c>EVENT_ID</c>. Where journald does not take one, it goes to stderr as a line with its priority, as journald reads it there.
/// </summary>
internal sealed class JournalOutput : LogOutput, IDisposable
{
    public const string DefaultSocket = "/run/systemd/journal/socket";

    /// <summary>Of the text; a datagram has room for more.</summary>
    private const int MaxText = 64 * 1024;

    [ThreadStatic]
    private static ArrayBufferWriter<byte>? _buffer;

    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
    private readonly UnixDomainSocketEndPoint _journal;
    private readonly Stream _stderr;

    /// <param name="stderr">Not closed.</param>
    public JournalOutput(string socket, Stream stderr)
    {
        _journal = new UnixDomainSocketEndPoint(socket);
        _stderr = stderr;
    }

    /// <summary>Whether stderr, and not something that was put in its place, is what the journal reads (systemd.exec(5), JOURNAL_STREAM).</summary>
    /// <param name="stream">The variable: device and inode.</param>
    public static bool IsStderr(string? stream) =>
        stream is { Length: > 0 } && FileIdentity.Of("/proc/self/fd/2") is { } file && stream == string.Create(CultureInfo.InvariantCulture, $"{file.Device}:{file.Inode}");

    public override LogItem? Format<TState>(in LogEntry<TState> entry)
    {
        string text = entry.Formatter(entry.State, entry.Exception);
        if (entry.Exception is { } exception)
        {
            text = $"{text}\n{exception}";
        }

        var to = _buffer ??= new ArrayBufferWriter<byte>(1024);
        to.ResetWrittenCount();
        string level = Priority(entry.LogLevel);
        Field(to, "PRIORITY", level);
        Field(to, "SYSLOG_IDENTIFIER", "barbrokerd");
        Field(to, "MESSAGE", text.Length > MaxText ? text[..MaxText] : text);
        Field(to, "LOGGER", entry.Category);
        Field(to, "EVENT_ID", entry.EventId.Id.ToString(CultureInfo.InvariantCulture));
        if (entry.State is IReadOnlyList<KeyValuePair<string, object?>> values)
        {
            foreach (var (key, value) in values)
            {
                if (NameOf(key) is { } name && value is not null)
                {
                    Field(to, name, Convert.ToString(value, CultureInfo.InvariantCulture) ?? "");
                }
            }
        }

        return new LogItem(to.WrittenSpan.ToArray(), $"<{level}>{text.ReplaceLineEndings(" ")}\n");
    }

    public override void Write(IReadOnlyList<LogItem> items)
    {
        foreach (var item in items)
        {
            try
            {
                _socket.SendTo(item.Bytes.Span, _journal);
            }
            catch (SocketException)
            {
                WriteLine(item.Line);
            }
        }
    }

    public override LogItem Lost(long count)
    {
        var to = new ArrayBufferWriter<byte>();
        string text = LostText(count, "journald");
        Field(to, "PRIORITY", "4");
        Field(to, "SYSLOG_IDENTIFIER", "barbrokerd");
        Field(to, "MESSAGE", text);
        return new LogItem(to.WrittenMemory, $"<4>{text}\n");
    }

    public void Dispose() => _socket.Dispose();

    private void WriteLine(string line)
    {
        try
        {
            _stderr.Write(Encoding.UTF8.GetBytes(line));
        }
        catch (IOException)
        {
            // There is nobody left to be told.
        }
    }

    private static string? NameOf(string placeholder) => placeholder switch
    {
        "Lease" => "LEASE",
        "Device" => "DEVICE",
        "Uid" => "UID",
        "Pid" => "PID",
        "Reason" => "REASON",
        _ => null,
    };

    /// <summary>syslog(3).</summary>
    private static string Priority(LogLevel level) => level switch
    {
        LogLevel.Critical => "2",
        LogLevel.Error => "3",
        LogLevel.Warning => "4",
        LogLevel.Information => "6",
        _ => "7",
    };

    /// <summary>As NAME=value, or, where a line end in the value would begin another field, with its length.</summary>
    private static void Field(ArrayBufferWriter<byte> to, string name, string value)
    {
        Append(to, name);
        if (!value.Contains('\n', StringComparison.Ordinal))
        {
            Append(to, "=");
            Append(to, value);
        }
        else
        {
            Append(to, "\n");
            BinaryPrimitives.WriteUInt64LittleEndian(to.GetSpan(sizeof(ulong)), (ulong)Encoding.UTF8.GetByteCount(value));
            to.Advance(sizeof(ulong));
            Append(to, value);
        }

        Append(to, "\n");
    }

    private static void Append(ArrayBufferWriter<byte> to, string text) => Encoding.UTF8.GetBytes(text, to);
}
