// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.Net.Sockets;
using System.Text;
using BarBroker.Linux;
using BarBroker.Linux.ServiceManager;
using BarBroker.Linux.Sockets;
using BarBroker.Testing;

namespace BarBroker.Tests.Restart;

/// <summary>A service manager that keeps what it is given, and passes it to whoever starts next in this process.</summary>
internal sealed class KeepingManager : IAsyncDisposable
{
    private readonly TestDirectory _directory = new();
    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
    private readonly byte[] _buffer = new byte[1024];
    private readonly Lock _gate = new();
    private readonly List<PassedDescriptor> _store = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _listening;

    public KeepingManager()
    {
        _socket.Bind(new UnixDomainSocketEndPoint(_directory.File("notify")));
        Notifier = new ServiceNotifier(_directory.File("notify"));
        _listening = ListenAsync();
    }

    public ServiceNotifier Notifier { get; }

    /// <summary>The names of what it keeps, each as often as it is there, after it has done all that it was told before.</summary>
    public ImmutableArray<string> Stored()
    {
        Assert.True(Notifier.Barrier(TimeSpan.FromSeconds(20)), "the manager comes to the barrier");
        lock (_gate)
        {
            return [.. _store.Select(static kept => kept.Name).Order(StringComparer.Ordinal)];
        }
    }

    /// <summary>A start with copies of what it keeps, as a process that is executed gets them.</summary>
    public ServiceStart Start(int capacity)
    {
        Assert.True(Notifier.Barrier(TimeSpan.FromSeconds(20)), "the manager comes to the barrier");
        lock (_gate)
        {
            return new ServiceStart(new ActivatedDescriptors([.. _store.Select(static kept => kept with { File = kept.File.Duplicate() })]), Notifier, null, capacity);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _listening;
        _stop.Dispose();
        _socket.Dispose();
        _directory.Dispose();
        _store.ForEach(static kept => kept.File.Dispose());
    }

    private async Task ListenAsync()
    {
        try
        {
            while (true)
            {
                var packet = await FdSocket.ReceiveAsync(_socket, _buffer, FdSocket.MaxFiles, _stop.Token);
                Take(Encoding.UTF8.GetString(_buffer, 0, packet.Length).Split('\n'), packet);
            }
        }
        catch (OperationCanceledException)
        {
            // Over.
        }
    }

    private void Take(string[] lines, ReceivedPacket packet)
    {
        string name = lines.Length > 1 ? lines[1]["FDNAME=".Length..] : "";
        lock (_gate)
        {
            switch (lines[0])
            {
                case "FDSTORE=1":
                    foreach (FileDescriptor file in packet.Files)
                    {
                        Keep(name, file);
                    }

                    return;
                case "FDSTOREREMOVE=1":
                    _store.FindAll(kept => kept.Name == name).ForEach(static kept => kept.File.Dispose());
                    _store.RemoveAll(kept => kept.Name == name);
                    break;
            }
        }

        packet.Dispose();
    }

    /// <summary>As systemd does: one that it has already, by whichever name, it does not take again.</summary>
    private void Keep(string name, FileDescriptor file)
    {
        if (_store.Exists(kept => kept.File.GetFileIdentity() == file.GetFileIdentity()))
        {
            file.Dispose();
        }
        else
        {
            _store.Add(new PassedDescriptor(name, file));
        }
    }
}
