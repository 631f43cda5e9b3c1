// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using System.Net.Sockets;
using BarBroker.Leases;
using BarBroker.Linux.Processes;
using Grpc.Core;

namespace BarBroker.FdChannel;

/// <summary>The fd socket: accepts, bounds the connections of each uid, and passes the changes of leases on to the connection that fetched them.</summary>
internal sealed class FdChannelServer : ILeaseObserver, IAsyncDisposable
{
    private static readonly TimeSpan AcceptPause = TimeSpan.FromMilliseconds(100);

    private readonly Socket _listener;
    private readonly LeaseManager _leases;
    private readonly FdChannelOptions _options;
    private readonly ILogger<FdChannelServer> _logger;
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<string, FdChannelConnection> _holders = new();

    private readonly Lock _lock = new();
    private readonly HashSet<FdChannelConnection> _connections = [];
    private readonly Dictionary<uint, int> _connectionsByUid = [];

    private IDisposable? _subscription;
    private Task _accepting = Task.CompletedTask;

    /// <param name="listener">Bound, its permissions set; listening already or not. Owned by the server from now on.</param>
    public FdChannelServer(Socket listener, LeaseManager leases, FdChannelOptions options, ILogger<FdChannelServer> logger)
    {
        _listener = listener;
        _leases = leases;
        _options = options;
        _logger = logger;
    }

    public void Start()
    {
        _subscription = _leases.Subscribe(this);
        _listener.Listen();
        _accepting = AcceptAsync(_stop.Token);
    }

    public void LeaseChanged(LeaseInfo lease)
    {
        if (_holders.TryGetValue(lease.Id, out var connection))
        {
            connection.Notify(lease);
        }
    }

    public void DeviceChanged(DeviceInfo device)
    {
        // Not told on this socket.
    }

    /// <summary>Disconnects everybody. It ends no lease.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _accepting.ConfigureAwait(false);
        _listener.Dispose();
        Task[] running;
        lock (_lock)
        {
            running = [.. _connections.Select(connection => connection.Completion)];
        }

        await Task.WhenAll(running).ConfigureAwait(false);
        _subscription?.Dispose();
        _stop.Dispose();
    }

    /// <summary>From now on the connection is told of the lease's changes.</summary>
    internal void Follow(string leaseId, FdChannelConnection connection) => _holders[leaseId] = connection;

    internal void Unfollow(string leaseId) => _holders.TryRemove(leaseId, out _);

    internal void Remove(FdChannelConnection connection)
    {
        lock (_lock)
        {
            uint uid = connection.Peer.Uid;
            _connections.Remove(connection);
            if (--_connectionsByUid[uid] == 0)
            {
                _connectionsByUid.Remove(uid);
            }
        }
    }

    private async Task AcceptAsync(CancellationToken cancellation)
    {
        while (!cancellation.IsCancellationRequested)
        {
            try
            {
                Admit(await _listener.AcceptAsync(cancellation).ConfigureAwait(false));
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                // No descriptor left, for one: the connection stays in the queue, and asking again at once would burn a processor. Whatever
                // it is, one client's connection is no reason to stop serving the others.
                _logger.AcceptFailed(AcceptPause, exception);
                await Task.Delay(AcceptPause, CancellationToken.None).ConfigureAwait(false);
            }
        }
    }

    private void Admit(Socket socket)
    {
        FdChannelConnection connection;
        try
        {
            connection = new FdChannelConnection(socket, PeerCredentials.Of(socket), this, _leases, _options, _logger);
        }
        catch
        {
            socket.Dispose();
            throw;
        }

        if (TryAdd(connection))
        {
            connection.Start(_stop.Token);
        }
        else
        {
            _logger.TooManyConnections(connection.Peer.Pid, connection.Peer.Uid, _options.ConnectionsPerUid);
            connection.Refuse(StatusCode.ResourceExhausted, $"uid {connection.Peer.Uid} has {_options.ConnectionsPerUid} connections already; close one first");
        }
    }

    private bool TryAdd(FdChannelConnection connection)
    {
        lock (_lock)
        {
            int count = _connectionsByUid.GetValueOrDefault(connection.Peer.Uid);
            if (count >= _options.ConnectionsPerUid)
            {
                return false;
            }

            _connectionsByUid[connection.Peer.Uid] = count + 1;
            return _connections.Add(connection);
        }
    }
}
