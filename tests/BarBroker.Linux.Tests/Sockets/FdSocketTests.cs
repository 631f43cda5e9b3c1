// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using BarBroker.Linux.Memory;
using BarBroker.Linux.Processes;
using BarBroker.Linux.Sockets;
using BarBroker.Testing;

namespace BarBroker.Linux.Tests.Sockets;

// A child that another test has just started has copies of every descriptor until it executes its program: nothing is closed before.
[Collection(typeof(Alone))]
public sealed class FdSocketTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("barbroker-").FullName;
    private readonly Socket _listener = FdSocket.Create();
    private readonly Socket _client = FdSocket.Create();
    private readonly Socket _server;

    public FdSocketTests()
    {
        var address = new UnixDomainSocketEndPoint(Path.Combine(_directory, "s"));
        _listener.Bind(address);
        _listener.Listen();
        _client.Connect(address);
        _server = _listener.Accept();
    }

    [Fact]
    public async Task ReceiveAsync_PacketWithFiles_GivesBytesAndOpenFiles()
    {
        using var sent = Memfd.Create("sent", 4096);
        sent.Write(10, "hello"u8);
        Assert.True(FdSocket.TrySend(_server, [1, 2, 3], [sent, sent]));

        var buffer = new byte[16];
        using var packet = await FdSocket.ReceiveAsync(_client, buffer, 4, TestContext.Current.CancellationToken);

        Assert.Equal((3, false, 2), (packet.Length, packet.IsTruncated, packet.Files.Length));
        Assert.All(packet.Files, file => Assert.Equal(4096ul, file.GetSize()));
    }

    [Fact]
    public void TryReceive_MoreFilesThanAsked_IsTruncated()
    {
        using var sent = Memfd.Create("sent", 1);
        Assert.True(FdSocket.TrySend(_server, [1], [sent, sent, sent, sent]));

        using var packet = FdSocket.TryReceive(_client, new byte[1], 1)!.Value;

        Assert.True(packet.IsTruncated);
    }

    [Fact]
    public void TrySend_PeerDoesNotRead_ReturnsFalseInsteadOfBlocking()
    {
        var packet = new byte[4096];
        int sent = 0;
        while (FdSocket.TrySend(_server, packet, []))
        {
            sent++;
            Assert.True(sent < 100_000, "the queue of a socket that nobody reads never filled");
        }

        Assert.True(sent > 0);
    }

    [Fact]
    public void OfPeer_SameProcess_IsThisProcess()
    {
        using var process = PidFd.OfPeer(_server);

        Assert.Equal(Environment.ProcessId, process.Pid);
        Assert.Equal(Environment.ProcessId, PeerCredentials.Of(_server).Pid);
        Assert.Equal(Users.EffectiveUid, PeerCredentials.Of(_server).Uid);
        Assert.False(process.HasExited());
    }

    [Fact]
    public void OpenChecked_AsBeforeLinux65_BelievesThePeerOnlyWhileItHoldsTheConnection()
    {
        using (var process = PidFd.OpenChecked(_server, Environment.ProcessId))
        {
            Assert.Equal(Environment.ProcessId, process.Pid);
        }

        _client.Dispose();

        Assert.Equal(Errno.ESRCH, Assert.Throws<LinuxException>(() => PidFd.OpenChecked(_server, Environment.ProcessId)).Errno);
    }

    [Fact]
    public void HasHungUp_PeerClosed_IsTrue()
    {
        Assert.False(FdSocket.HasHungUp(_server));

        _client.Dispose();

        Assert.True(FdSocket.HasHungUp(_server));
    }

    [Fact]
    public void TrySend_FileDisposed_ThrowsAndSendsNothing()
    {
        var file = Memfd.Create("disposed", 1);
        file.Dispose();

        Assert.Throws<ObjectDisposedException>(() => FdSocket.TrySend(_server, [1], [file]));
        Assert.Null(FdSocket.TryReceive(_client, new byte[1], 1));
    }

    [Fact]
    public void TrySend_PeerGone_IsEpipe()
    {
        _client.Dispose();

        Assert.Equal(Errno.EPIPE, Assert.Throws<LinuxException>(() => FdSocket.TrySend(_server, [1], [])).Errno);
    }

    public void Dispose()
    {
        _server.Dispose();
        _client.Dispose();
        _listener.Dispose();
        Directory.Delete(_directory, recursive: true);
    }
}
