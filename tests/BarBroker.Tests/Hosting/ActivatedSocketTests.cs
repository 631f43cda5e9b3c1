// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using BarBroker.Hosting;
using BarBroker.Linux;
using BarBroker.Linux.Memory;
using BarBroker.Linux.ServiceManager;
using BarBroker.V1;
using Mono.Unix.Native;

namespace BarBroker.Tests.Hosting;

/// <summary>A broker whose sockets were made by somebody else, as by systemd's socket units.</summary>
public sealed class ActivatedSocketTests : BrokerTest
{
    private static readonly SocketAccess OwnerOnly = new((uint?)null);

    private ActivatedDescriptors _passed = ActivatedDescriptors.None;
    private FileDescriptor? _last;

    private string FdSocketPath => Directory.File("fd.sock");

    private protected override BrokerHost Build() => BrokerHost.Build(Options(), "test", AddLogs, null, new ServiceStart(_passed, null, null));

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _passed.Dispose();
    }

    [Fact]
    public async Task Start_AllSocketsPassed_ServesOnThemAndLeavesTheFiles()
    {
        await Broker.DisposeAsync();
        Pass(("broker.sock", Listen(ClientSocket, SocketType.Stream)), ("fd.sock", Listen(FdSocketPath, SocketType.Seqpacket)), ("admin.sock", Listen(OperatorSocket, SocketType.Stream)));
        using var early = Dial(FdSocketPath);

        var broker = await Start();

        using (var client = Open(ClientSocket))
        using (var forOperators = Open(OperatorSocket))
        {
            Assert.NotEmpty((await new LeaseService.LeaseServiceClient(client).ListDevicesAsync(new(), cancellationToken: Cancellation)).Devices);
            Assert.Equal(Environment.ProcessId, (await new OperatorService.OperatorServiceClient(forOperators).GetStatusAsync(new(), cancellationToken: Cancellation)).Pid);
        }

        // It connected before the broker was there, and is answered by it: malformed.
        early.Send([0xff]);
        Assert.True(early.Receive(new byte[256]) > 0);
        await broker.DisposeAsync();
        Assert.All([ClientSocket, FdSocketPath, OperatorSocket], path => Assert.True(File.Exists(path), path));
        using var waiting = Dial(FdSocketPath);
    }

    [Fact]
    public async Task Start_PassedWithoutUse_ClosesAndNamesThem()
    {
        await Broker.DisposeAsync();
        using var file = Memfd.Create("left", 1);
        Pass(file.Number, "lease.left");

        await Start();

        Assert.True(_last!.IsClosed);
        Assert.Contains(Logs.Entries, entry => entry.Event.Id == 412 && entry.ToString().Contains("lease.left", StringComparison.Ordinal));
    }

    [Fact]
    public void Take_NothingOfThatName_IsNull() => Assert.Null(ActivatedSocket.Take(ActivatedDescriptors.None, ClientSocket, SocketType.Stream, OwnerOnly));

    [Fact]
    public void Take_NoSocket_IsRefused()
    {
        using var file = Memfd.Create("file", 1);
        Pass(file.Number, "broker.sock");

        AssertRefused("no socket");
    }

    [Fact]
    public void Take_AnotherType_IsRefused()
    {
        Pass(("broker.sock", Listen(Directory.File("other/broker.sock"), SocketType.Seqpacket)));

        AssertRefused("not of Unix, Stream");
    }

    [Fact]
    public void Take_DoesNotListen_IsRefused()
    {
        var socket = Own(new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified));
        Pass(("broker.sock", socket));

        AssertRefused("does not listen");
    }

    [Fact]
    public void Take_AnotherPath_IsRefused()
    {
        Pass(("broker.sock", Listen(Directory.File("elsewhere"), SocketType.Stream)));

        AssertRefused($"it is bound to {Directory.File("elsewhere")}");
    }

    [Fact]
    public void Take_OpenToOthers_IsRefused()
    {
        Pass(("broker.sock", Listen(Directory.File("other/broker.sock"), SocketType.Stream)));
        File.SetUnixFileMode(Directory.File("other/broker.sock"), (UnixFileMode)0b110_110_110);

        AssertRefused("no more than mode 600");
    }

    [Fact]
    public void Take_AnotherGroup_IsRefused()
    {
        Pass(("broker.sock", Listen(Directory.File("other/broker.sock"), SocketType.Stream)));

        AssertRefused("must have gid 4294967000", new SocketAccess(4294967000u));
    }

    [Fact]
    public void Take_FileIsGone_IsRefused()
    {
        Pass(("broker.sock", Listen(Directory.File("other/broker.sock"), SocketType.Stream)));
        File.Delete(Directory.File("other/broker.sock"));

        AssertRefused("not there any more");
    }

    [Fact]
    public void Take_TwoOfThatName_IsRefused()
    {
        Pass(("broker.sock", Listen(Directory.File("one"), SocketType.Stream)), ("broker.sock", Listen(Directory.File("two"), SocketType.Stream)));

        AssertRefused("2 descriptors");
    }

    private void AssertRefused(string why, SocketAccess? access = null)
    {
        string path = Directory.File("other/broker.sock");
        var exception = Assert.Throws<StartupException>(() => ActivatedSocket.Take(_passed, path, SocketType.Stream, access ?? OwnerOnly));

        Assert.Contains(why, exception.Message, StringComparison.Ordinal);
        Assert.Contains("broker.sock", exception.Message, StringComparison.Ordinal);
        Assert.True(_last!.IsClosed);
    }

    private static Socket Dial(string path)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Seqpacket, ProtocolType.Unspecified);
        socket.Connect(new UnixDomainSocketEndPoint(path));
        return socket;
    }

    /// <summary>As a service manager makes it.</summary>
    private Socket Listen(string path, SocketType type)
    {
        System.IO.Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.Delete(path);
        var socket = Own(new Socket(AddressFamily.Unix, type, ProtocolType.Unspecified));
        socket.Bind(new UnixDomainSocketEndPoint(path));
        socket.Listen();
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return socket;
    }

    private void Pass(params (string Name, Socket Socket)[] sockets) =>
        _passed = new ActivatedDescriptors([.. sockets.Select(socket => new PassedDescriptor(socket.Name, Copy((int)socket.Socket.Handle)))]);

    private void Pass(int file, string name) => _passed = new ActivatedDescriptors([new PassedDescriptor(name, Copy(file))]);

    private FileDescriptor Copy(int file) => _last = new FileDescriptor(Syscall.dup(file));
}
