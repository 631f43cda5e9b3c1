// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using System.Text;
using BarBroker.Linux.Memory;
using BarBroker.Linux.ServiceManager;
using BarBroker.Linux.Sockets;
using BarBroker.Testing;

namespace BarBroker.Linux.Tests.ServiceManager;

[Collection(typeof(Alone))]
public sealed class ServiceNotifierTests : TestBase
{
    private readonly string _directory = Directory.CreateTempSubdirectory("barbroker-").FullName;
    private readonly Socket _manager;

    public ServiceNotifierTests() => _manager = Own(new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified));

    private string Address => Path.Combine(_directory, "notify");

    [Fact]
    public void Send_State_ReachesTheManager()
    {
        _manager.Bind(new UnixDomainSocketEndPoint(Address));

        new ServiceNotifier(Address).Send("READY=1\nSTATUS=serving");

        Assert.Equal("READY=1\nSTATUS=serving", Receive(0, out _));
    }

    [Fact]
    public void Send_AbstractSocket_ReachesTheManager()
    {
        string name = $"barbroker-test-{Guid.NewGuid():N}";
        _manager.Bind(new UnixDomainSocketEndPoint($"\0{name}"));

        new ServiceNotifier($"@{name}").Send("READY=1");

        Assert.Equal("READY=1", Receive(0, out _));
    }

    [Fact]
    public void Store_Files_ArriveOpenUnderTheirName()
    {
        _manager.Bind(new UnixDomainSocketEndPoint(Address));
        using var first = Memfd.Create("first", 1);
        using var second = Memfd.Create("second", 2);

        new ServiceNotifier(Address).Store("device.sim0", [first, second]);

        Assert.Equal("FDSTORE=1\nFDNAME=device.sim0\nFDPOLL=0", Receive(2, out var files));
        Assert.Equal([1ul, 2ul], files.Select(file => file.GetSize()));
        Assert.All(files, file => file.Dispose());
    }

    [Fact]
    public void Forget_Name_SaysWhich()
    {
        _manager.Bind(new UnixDomainSocketEndPoint(Address));

        new ServiceNotifier(Address).Forget("device.sim0");

        Assert.Equal("FDSTOREREMOVE=1\nFDNAME=device.sim0", Receive(0, out _));
    }

    [Theory]
    [InlineData("")]
    [InlineData("a:b")]
    [InlineData("a b")]
    [InlineData("a\nREADY=1")]
    public void Store_NameThatSystemdRefuses_Throws(string name) => Assert.Throws<ArgumentException>(() => new ServiceNotifier(Address).Store(name, []));

    [Fact]
    public async Task Barrier_ManagerComesToIt_IsTrue()
    {
        _manager.Bind(new UnixDomainSocketEndPoint(Address));
        var barrier = Task.Run(() => new ServiceNotifier(Address).Barrier(TimeSpan.FromSeconds(30)), TestContext.Current.CancellationToken);

        var packet = await FdSocket.ReceiveAsync(_manager, new byte[256], 1, TestContext.Current.CancellationToken);
        Assert.False(barrier.IsCompleted);
        packet.Dispose();

        Assert.True(await Wait.For(barrier, "the barrier falls"));
    }

    [Fact]
    public void Barrier_ManagerDoesNotRead_IsFalse()
    {
        _manager.Bind(new UnixDomainSocketEndPoint(Address));

        Assert.False(new ServiceNotifier(Address).Barrier(TimeSpan.FromMilliseconds(10)));
        Receive(1, out var files);
        Assert.All(files, file => file.Dispose());
    }

    [Fact]
    public void Send_NobodyListens_Throws()
    {
        var exception = Assert.Throws<IOException>(() => new ServiceNotifier(Address).Send("READY=1"));

        Assert.Contains(Address, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Send_ManagerNeverReads_ThrowsInTheEnd()
    {
        _manager.Bind(new UnixDomainSocketEndPoint(Address));
        var notifier = new ServiceNotifier(Address);

        var exception = Assert.Throws<IOException>(() =>
        {
            for (int i = 0; i < 100_000; i++)
            {
                notifier.Send("WATCHDOG=1");
            }
        });

        Assert.Contains("did not take", exception.Message, StringComparison.Ordinal);
    }

    public override ValueTask DisposeAsync()
    {
        Directory.Delete(_directory, recursive: true);
        return base.DisposeAsync();
    }

    private string Receive(int maxFiles, out IReadOnlyList<FileDescriptor> files)
    {
        var buffer = new byte[1024];
        var packet = FdSocket.TryReceive(_manager, buffer, maxFiles) ?? throw new InvalidOperationException("nothing was sent");
        files = packet.Files;
        return Encoding.UTF8.GetString(buffer, 0, packet.Length);
    }
}
