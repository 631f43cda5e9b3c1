// SPDX-License-Identifier: Apache-2.0

using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using BarBroker.Hosting;
using BarBroker.Linux.Sockets;
using BarBroker.Testing;
using Microsoft.Extensions.Logging;

namespace BarBroker.Tests.Hosting;

public sealed class JournalOutputTests : IDisposable
{
    private readonly TestDirectory _directory = new();
    private readonly Socket _journal = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
    private readonly MemoryStream _stderr = new();

    private string Address => _directory.File("journal");

    public void Dispose()
    {
        _journal.Dispose();
        _stderr.Dispose();
        _directory.Dispose();
    }

    [Fact]
    public void Log_EventOfALease_HasItsFields()
    {
        _journal.Bind(new UnixDomainSocketEndPoint(Address));
        using (var queue = new LogQueue(new JournalOutput(Address, _stderr)))
        {
            queue.CreateLogger("BarBroker.Telemetry.LeaseLog").Log(
                LogLevel.Warning,
                new EventId(7),
                new Dictionary<string, object?> { ["Lease"] = "l-1", ["Device"] = "sim0", ["Uid"] = 1001u, ["Pid"] = 77, ["Reason"] = BarBroker.Leases.EndReason.Expired, ["Other"] = "no field" }.ToList(),
                null,
                static (_, _) => "something happened");
        }

        Assert.Equal(
            new Dictionary<string, string>
            {
                ["PRIORITY"] = "4",
                ["SYSLOG_IDENTIFIER"] = "barbrokerd",
                ["MESSAGE"] = "something happened",
                ["LOGGER"] = "BarBroker.Telemetry.LeaseLog",
                ["EVENT_ID"] = "7",
                ["LEASE"] = "l-1",
                ["DEVICE"] = "sim0",
                ["UID"] = "1001",
                ["PID"] = "77",
                ["REASON"] = "Expired",
            },
            Received());
        Assert.Equal(0, _stderr.Length);
    }

    [Fact]
    public void Log_TextOfSeveralLines_IsOneFieldAndNoOther()
    {
        _journal.Bind(new UnixDomainSocketEndPoint(Address));
        using (var queue = new LogQueue(new JournalOutput(Address, _stderr)))
        {
            queue.CreateLogger("c").Log(LogLevel.Error, default, 0, new InvalidOperationException("ünd"), static (_, _) => "first\nUID=0");
        }

        var fields = Received();
        Assert.StartsWith("first\nUID=0\nSystem.InvalidOperationException: ünd", fields["MESSAGE"], StringComparison.Ordinal);
        Assert.False(fields.ContainsKey("UID"));
        Assert.Equal("3", fields["PRIORITY"]);
    }

    [Fact]
    public void Log_NobodyTakesIt_GoesToStderrWithItsPriority()
    {
        using (var queue = new LogQueue(new JournalOutput(Address, _stderr)))
        {
            queue.CreateLogger("c").Log(LogLevel.Information, default, 0, null, static (_, _) => "one\ntwo");
        }

        Assert.Equal("<6>one two\n", Encoding.UTF8.GetString(_stderr.ToArray()));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("1:2")]
    public void IsStderr_AnotherFile_IsNot(string? stream) => Assert.False(JournalOutput.IsStderr(stream));

    [Fact]
    public void IsStderr_ThatFile_Is()
    {
        var file = BarBroker.Linux.FileIdentity.Of("/proc/self/fd/2")!.Value;

        Assert.True(JournalOutput.IsStderr(FormattableString.Invariant($"{file.Device}:{file.Inode}")));
    }

    /// <summary>The one datagram that came, taken apart as journald does.</summary>
    private Dictionary<string, string> Received()
    {
        var buffer = new byte[128 * 1024];
        var packet = FdSocket.TryReceive(_journal, buffer, 0) ?? throw new InvalidOperationException("nothing was sent");
        var rest = buffer.AsSpan(0, packet.Length);
        var fields = new Dictionary<string, string>();
        while (rest.Length > 0)
        {
            int end = rest.IndexOfAny((byte)'=', (byte)'\n');
            string name = Encoding.UTF8.GetString(rest[..end]);
            bool hasLength = rest[end] == '\n';
            rest = rest[(end + 1)..];
            int length = hasLength ? (int)BinaryPrimitives.ReadUInt64LittleEndian(rest) : rest.IndexOf((byte)'\n');
            rest = hasLength ? rest[sizeof(ulong)..] : rest;
            fields.Add(name, Encoding.UTF8.GetString(rest[..length]));
            Assert.Equal((byte)'\n', rest[length]);
            rest = rest[(length + 1)..];
        }

        return fields;
    }
}
