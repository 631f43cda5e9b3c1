// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using System.Net.Sockets;
using BarBroker.Leases;
using BarBroker.Linux;
using BarBroker.Linux.Processes;
using BarBroker.Processes;
using BarBroker.Telemetry;
using Grpc.Core;

namespace BarBroker.FdChannel;

/// <summary>The fd socket: accepts, bounds the connections of each uid, and passes the changes of leases on to the connection that fetched them, or follows them since.</summary>
internal sealed class FdChannelServer : ILeaseObserver, IAsyncDisposable
{
    private static readonly TimeSpan AcceptPause = TimeSpan.FromMilliseconds(100);

    private readonly Socket _listener;
    private readonly LeaseManager _leases;
    private readonly ClientRegistry _registry;
    private readonly FdChannelLoop _loop;
    private readonly FdChannelOptions _options;
    private readonly ILogger<FdChannelServer> _logger;
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<string, FdChannelConnection> _holders = new();

    private readonly Lock _lock = new();
    private readonly Dictionary<uint, int> _connectionsByUid = [];

    private IDisposable? _subscription;
    private Task _accepting = Task.CompletedTask;

    /// <param name="listener">Bound, its permissions set; listening already or not. Owned by the server from now on.</param>
    /// <param name="registry">An observer of the same leases, so that they end with the processes that acquired them.</param>
    public FdChannelServer(Socket listener, LeaseManager leases, ClientRegistry registry, FdChannelOptions options, ILogger<FdChannelServer> logger, LeaseTraces? traces = null)
    {
        Traces = traces;
        _listener = listener;
        _leases = leases;
        _registry = registry;
        _loop = new FdChannelLoop(options, logger);
        _options = options;
        _logger = logger;
    }

    /// <summary>Null: nobody traces.</summary>
    public LeaseTraces? Traces { get; }

    public void Start()
    {
        _subscription = _leases.Subscribe(this);
        _loop.Start();
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
        _loop.Dispose();
        _subscription?.Dispose();
        _stop.Dispose();
    }

    /// <summary>From now on the connection is told of the lease's changes.</summary>
    /// <returns>Who was until now; null: nobody.</returns>
    internal FdChannelConnection? Follow(string leaseId, FdChannelConnection connection)
    {
        _holders.TryGetValue(leaseId, out var before);
        _holders[leaseId] = connection;
        return before;
    }

    internal void Unfollow(string leaseId, FdChannelConnection connection) => _holders.TryRemove(KeyValuePair.Create(leaseId, connection));

    /// <summary>The connection has notices to send.</summary>
    internal void Wake(FdChannelConnection connection) => _loop.Wake(connection);

    /// <summary>The connection was closed.</summary>
    internal void Remove(FdChannelConnection connection, ClientProcess process)
    {
        _registry.Release(process);
        Leave(connection.Peer.Uid);
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
        try
        {
            var peer = PeerCredentials.Of(socket);
            if (TryEnter(peer.Uid))
            {
                Serve(socket, peer);
                return;
            }

            _logger.TooManyConnections(peer.Pid, peer.Uid, _options.ConnectionsPerUid);
            FdChannelConnection.Refuse(socket, StatusCode.ResourceExhausted, $"uid {peer.Uid} has {_options.ConnectionsPerUid} connections already; close one first");
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private void Serve(Socket socket, PeerCredentials peer)
    {
        ClientProcess? process = null;
        try
        {
            process = _registry.Connected(socket);
            var connection = new FdChannelConnection(socket, peer, process, this, _leases, _options, _logger);
            _logger.Connected(peer.Pid, peer.Uid);
            _loop.Add(connection);
        }
        catch (Exception exception)
        {
            if (process is not null)
            {
                _registry.Release(process);
            }

            Leave(peer.Uid);
            if (exception is not (LinuxException or SocketException))
            {
                throw;
            }

            // One client's end is no reason to keep the others waiting.
            _logger.GoneAtAccept(exception);
            socket.Dispose();
        }
    }

    private bool TryEnter(uint uid)
    {
        lock (_lock)
        {
            int count = _connectionsByUid.GetValueOrDefault(uid);
            if (count >= _options.ConnectionsPerUid)
            {
                return false;
            }

            _connectionsByUid[uid] = count + 1;
            return true;
        }
    }

    private void Leave(uint uid)
    {
        lock (_lock)
        {
            if (--_connectionsByUid[uid] == 0)
            {
                _connectionsByUid.Remove(uid);
            }
        }
    }
}
