// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Net.Sockets;
using BarBroker.Leases;
using BarBroker.Linux;
using BarBroker.Linux.Processes;
using BarBroker.Linux.ServiceManager;
using BarBroker.Processes;
using BarBroker.Restart;
using BarBroker.Testing;
using BarBroker.Tests.Restart;

namespace BarBroker.Tests.Processes;

[Collection(typeof(Alone))]
public sealed class ClientRegistryTests : TestBase
{
    private const string ConnectAndWait = """
        #include <sys/socket.h>
        #include <sys/un.h>
        #include <string.h>
        #include <stdio.h>
        #include <unistd.h>
        int main(int argc, char **argv) {
            struct sockaddr_un to = { .sun_family = AF_UNIX };
            if (argc < 2) return 2;
            strncpy(to.sun_path, argv[1], sizeof to.sun_path - 1);
            int s = socket(AF_UNIX, SOCK_STREAM, 0);
            if (connect(s, (struct sockaddr *)&to, sizeof to)) { perror("connect"); return 1; }
            char c;
            return read(0, &c, 1) < 0;
        }
        """;

    private readonly List<LeaseOwner> _exited = [];
    private ClientRegistry _registry = null!;
    private Socket _listener = null!;
    private string _path = "";

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        _path = Own(new TestDirectory()).File("s");
        _listener = Own(new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified));
        _listener.Bind(new UnixDomainSocketEndPoint(_path));
        _listener.Listen();
        _registry = Own(new ClientRegistry(Exited, Logs.CreateLogger<ClientRegistry>()));
    }

    [Fact]
    public async Task Connected_SameProcessTwice_SameOwnerUntilBothAreReleased()
    {
        using var first = await Accept();
        using var second = await Accept();

        var one = _registry.Connected(first);
        var two = _registry.Connected(second);

        Assert.Same(one.Owner, two.Owner);
        Assert.Equal((Environment.ProcessId, Users.EffectiveUid), (one.Owner.Pid, one.Owner.Uid));
        _registry.Release(one);
        Assert.Equal(1, _registry.Count);
        _registry.Release(two);
        Assert.Equal(0, _registry.Count);
    }

    [Fact]
    public async Task LeaseChanged_LeaseOutlivesConnection_ProcessWatchedUntilItsEnd()
    {
        using var socket = await Accept();
        var client = _registry.Connected(socket);
        _registry.LeaseChanged(Lease(client.Owner, LeaseState.Granted));
        _registry.Release(client);
        Assert.Equal(1, _registry.Count);

        _registry.LeaseChanged(Lease(client.Owner, LeaseState.Active));
        Assert.Equal(1, _registry.Count);
        _registry.LeaseChanged(Lease(client.Owner, LeaseState.Ended));

        Assert.Equal(0, _registry.Count);
    }

    [Fact]
    public async Task LeaseChanged_GrantedToForgottenProcess_ToldAsExited()
    {
        using var socket = await Accept();
        var client = _registry.Connected(socket);
        _registry.Release(client);

        _registry.LeaseChanged(Lease(client.Owner, LeaseState.Granted));

        await WaitForExit(client.Owner);
    }

    [Fact]
    public async Task Watch_ProcessKilled_ToldOnceAndForgotten()
    {
        using var process = StartClient();
        using var socket = await _listener.AcceptAsync(Cancellation);
        var client = _registry.Connected(socket);
        Assert.Equal(process.Id, client.Owner.Pid);

        process.Kill();

        await WaitForExit(client.Owner);
        Assert.Equal(0, _registry.Count);
        _registry.Release(client);
        Assert.Single(_exited);
    }

    [Fact]
    public async Task Connected_ProcessGone_Refused()
    {
        using var process = StartClient();
        using var socket = await _listener.AcceptAsync(Cancellation);
        process.Kill();
        await process.WaitForExitAsync(Cancellation);

        Assert.Throws<LinuxException>(() => _registry.Connected(socket));
        Assert.Equal(0, _registry.Count);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Restored_ItsLeaseEnds_TheStoreKeepsItNoMore(bool wasKept)
    {
        var (registry, store, manager) = WithStore();
        using var process = StartClient();
        using var socket = await _listener.AcceptAsync(Cancellation);
        var earlier = OwnerOf(process);
        FileDescriptor? kept = null;
        if (wasKept)
        {
            store.Found(KeptName.OfClient(earlier.Process));
            kept = PidFd.Open(process.Id);
        }

        var owner = registry.Restored(earlier, kept, leases: 1);
        Assert.Equal(1, store.Count);
        string name = KeptName.OfClient(owner.Process);
        if (!wasKept)
        {
            Assert.StartsWith($"FDSTORE=1\nFDNAME={name}\n", manager.TryReceive()?.State, StringComparison.Ordinal);
        }

        // A lease of this run: kept once.
        registry.LeaseChanged(Lease(owner, LeaseState.Granted));
        registry.LeaseChanged(Lease(owner, LeaseState.Ended));
        Assert.Equal((1, null), (store.Count, manager.TryReceive()?.State));
        registry.LeaseChanged(Lease(owner, LeaseState.Ended));

        Assert.Equal((0, 0), (registry.Count, store.Count));
        Assert.Equal($"FDSTOREREMOVE=1\nFDNAME={name}", manager.TryReceive()?.State);
    }

    [Fact]
    public async Task Restored_ItsProcessIsKilled_TheStoreKeepsItNoMore()
    {
        var (registry, store, _) = WithStore();
        using var process = StartClient();
        using var socket = await _listener.AcceptAsync(Cancellation);
        var owner = registry.Restored(OwnerOf(process), kept: null, leases: 1);
        Assert.Equal(1, store.Count);

        process.Kill();

        await WaitForExit(owner);
        await Wait.Until(() => store.Count == 0, "the store keeps it no more");
    }

    [Fact]
    public async Task Restored_StoreIsFull_TheProcessIsWatchedAllTheSame()
    {
        var (registry, store, manager) = WithStore(capacity: 0);
        using var process = StartClient();
        using var socket = await _listener.AcceptAsync(Cancellation);
        var owner = registry.Restored(OwnerOf(process), kept: null, leases: 1);
        Assert.Equal((0, 1), (store.Count, registry.Count));

        registry.LeaseChanged(Lease(owner, LeaseState.Ended));

        Assert.Equal((0, 0), (store.Count, registry.Count));
        Assert.Null(manager.TryReceive());
    }

    [Fact]
    public async Task Restored_AnotherProcessHasTheNumber_ToldAsExitedAndNothingIsKept()
    {
        var (registry, store, manager) = WithStore();
        using var process = StartClient();
        using var socket = await _listener.AcceptAsync(Cancellation);
        var earlier = OwnerOf(process);
        var other = earlier with { Process = earlier.Process with { Key = earlier.Process.Key + 1 } };

        Assert.Same(other, registry.Restored(other, kept: null, leases: 1));

        Assert.Equal([other], _exited);
        Assert.Equal((0, 0), (store.Count, registry.Count));
        Assert.Null(manager.TryReceive());
    }

    [Fact]
    public async Task Restored_KeptProcessHasEnded_TheStoreKeepsItNoMore()
    {
        var (registry, store, manager) = WithStore();
        using var process = StartClient();
        using var socket = await _listener.AcceptAsync(Cancellation);
        var earlier = OwnerOf(process);
        store.Found(KeptName.OfClient(earlier.Process));
        var kept = PidFd.Open(process.Id);
        process.Kill();
        await process.WaitForExitAsync(Cancellation);

        registry.Restored(earlier, kept, leases: 1);

        Assert.Equal([earlier], _exited);
        Assert.Equal(($"FDSTOREREMOVE=1\nFDNAME={KeptName.OfClient(earlier.Process)}", 0), (manager.TryReceive()?.State, store.Count));
    }

    /// <summary>A process whose last lease ends, and that connects and leases again before the store was told.</summary>
    [Fact]
    public async Task Release_SameProcessLeasesAgainMeanwhile_TheStoreKeepsIt()
    {
        var keeping = Own(new KeepingManager());
        var keeper = new SlowToDrop(new DescriptorStore(keeping.Notifier, 8, Own(new RestartMetrics()), Logs.CreateLogger<DescriptorStore>()));
        var registry = Own(new ClientRegistry(Exited, Logs.CreateLogger<ClientRegistry>(), keeper));
        using var socket = await Accept();
        using var another = await Accept();
        var first = registry.Connected(socket);
        registry.LeaseChanged(Lease(first.Owner, LeaseState.Granted));
        registry.LeaseChanged(Lease(first.Owner, LeaseState.Ended));
        ClientProcess? second = null;
        keeper.BeforeDrop = () =>
        {
            keeper.BeforeDrop = null;
            second = registry.Connected(another);
            registry.LeaseChanged(Lease(second.Owner, LeaseState.Granted));
        };

        registry.Release(first);

        string name = KeptName.OfClient(first.Owner.Process);
        Assert.NotSame(first, second);
        Assert.Contains(name, keeping.Stored());
        registry.LeaseChanged(Lease(second!.Owner, LeaseState.Ended));
        registry.Release(second);
        Assert.Empty(keeping.Stored());
    }

    private sealed class SlowToDrop(DescriptorStore store) : IDescriptorKeeper
    {
        public Action? BeforeDrop { get; set; }

        public bool Keep(string name, ReadOnlySpan<FileDescriptor> files) => store.Keep(name, files);

        public void Join(string name) => store.Join(name);

        public void Drop(string name)
        {
            BeforeDrop?.Invoke();
            store.Drop(name);
        }

        public void Settle() => store.Settle();
    }

    private (ClientRegistry Registry, DescriptorStore Store, ManagerSocket Manager) WithStore(int capacity = 8)
    {
        var manager = Own(new ManagerSocket());
        var store = new DescriptorStore(new ServiceNotifier(manager.Path), capacity, Own(new RestartMetrics()), Logs.CreateLogger<DescriptorStore>());
        return (Own(new ClientRegistry(Exited, Logs.CreateLogger<ClientRegistry>(), store)), store, manager);
    }

    /// <summary>As an earlier run of the broker wrote it down.</summary>
    private static LeaseOwner OwnerOf(Process process)
    {
        using var pidFd = PidFd.Open(process.Id);
        return new LeaseOwner(Users.EffectiveUid, Users.EffectiveUid, process.Id, "connect-and-wait") { Process = pidFd.GetIdentity() };
    }

    private void Exited(LeaseOwner owner)
    {
        lock (_exited)
        {
            _exited.Add(owner);
        }
    }

    private static LeaseInfo Lease(LeaseOwner owner, LeaseState state) => new(
        "ls-0001", 1, "sim0", [], BarBroker.Devices.BufferAccess.ReadWrite, BarBroker.Devices.MemoryAttribute.NonCached, owner,
        System.Collections.Immutable.ImmutableDictionary<string, string>.Empty, state, EndReason.None, "",
        TimeSpan.FromSeconds(30), null, TimeSpan.Zero, null, null, 0, "", "", null);

    private Process StartClient() => Own(Process.Start(new ProcessStartInfo(NativeProgram.Compile(ConnectAndWait, "connect-and-wait"), [_path]) { RedirectStandardInput = true })!);

    private async Task<Socket> Accept()
    {
        var client = Own(new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified));
        await client.ConnectAsync(new UnixDomainSocketEndPoint(_path), Cancellation);
        return await _listener.AcceptAsync(Cancellation);
    }

    private Task WaitForExit(LeaseOwner owner) => Wait.Until(
        () =>
        {
            lock (_exited)
            {
                return _exited.Contains(owner);
            }
        },
        "the end of the process to be told");
}
