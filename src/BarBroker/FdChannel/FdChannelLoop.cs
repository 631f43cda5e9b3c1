// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using System.Net.Sockets;
using BarBroker.Linux;
using BarBroker.Linux.Events;

namespace BarBroker.FdChannel;

/// <summary>
/// The one thread that reads from every connection: a packet from each that has one, then the next round, so that nobody's flood keeps others waiting. It never
/// waits for a client, nor for a device.
/// </summary>
internal sealed class FdChannelLoop : IDisposable
{
    private const ulong WakeKey = 0;
    private const int StackSize = 512 * 1024;

    private readonly Epoll _epoll = new();
    private readonly EventFd _wake = new();
    private readonly ConcurrentDictionary<ulong, FdChannelConnection> _connections = new();
    private readonly ConcurrentQueue<FdChannelConnection> _changed = new();
    private readonly byte[] _buffer;
    private readonly ILogger _logger;
    private readonly Thread _thread;
    private ulong _lastKey;
    private int _isWoken;
    private volatile bool _stopping;

    public FdChannelLoop(FdChannelOptions options, ILogger logger)
    {
        _buffer = new byte[options.MessageBytes];
        _logger = logger;
        _epoll.Add(_wake, WakeKey);
        _thread = new Thread(Run, StackSize) { Name = "fd-channel", IsBackground = true };
    }

    public void Start() => _thread.Start();

    /// <summary>Serves the connection from now on, and closes it in the end. Not after <see cref="Dispose"/>.</summary>
    public void Add(FdChannelConnection connection)
    {
        ulong key = Interlocked.Increment(ref _lastKey);
        _connections[key] = connection;
        try
        {
            _epoll.Add(connection.Socket, key);
        }
        catch
        {
            _connections.TryRemove(key, out _);
            throw;
        }
    }

    /// <summary>Has the thread send the connection's notices. From any thread; it returns at once.</summary>
    public void Wake(FdChannelConnection connection)
    {
        _changed.Enqueue(connection);
        if (Interlocked.Exchange(ref _isWoken, 1) != 0)
        {
            return;
        }

        try
        {
            _wake.Signal();
        }
        catch (ObjectDisposedException)
        {
            // The loop has ended meanwhile, and the connection with it.
        }
    }

    /// <summary>Closes every connection and waits for the thread.</summary>
    public void Dispose()
    {
        _stopping = true;
        _wake.Signal();
        if (_thread.IsAlive)
        {
            _thread.Join();
        }

        _wake.Dispose();
        _epoll.Dispose();
    }

    private void Run()
    {
        Span<ulong> keys = stackalloc ulong[64];
        while (!_stopping)
        {
            int count = _epoll.Wait(keys);
            foreach (ulong key in keys[..count])
            {
                if (key == WakeKey)
                {
                    SendNotices();
                }
                else if (_connections.TryGetValue(key, out var connection) && Serve(connection) is { } cause)
                {
                    Close(key, connection, cause);
                }
            }
        }

        // The broker ended its leases just before it stops: whoever reads learns of it.
        SendNotices();
        foreach (var (key, connection) in _connections)
        {
            Close(key, connection, "the broker stops");
        }
    }

    private void SendNotices()
    {
        _wake.Drain();
        // Before the look at the queue, so that what is put in from now on wakes the thread again.
        Interlocked.Exchange(ref _isWoken, 0);
        while (_changed.TryDequeue(out var connection))
        {
            try
            {
                connection.SendNotices();
            }
            catch (Exception exception)
            {
                _logger.Failed(connection.Peer.Pid, connection.Peer.Uid, exception);
            }
        }
    }

    /// <returns>Why the connection is over; null if it is not.</returns>
    private string? Serve(FdChannelConnection connection)
    {
        try
        {
            return connection.Serve(_buffer);
        }
        catch (Exception exception) when (exception is SocketException or LinuxException)
        {
            return exception.Message;
        }
        catch (Exception exception)
        {
            // The thread must live: every other connection depends on it.
            _logger.Failed(connection.Peer.Pid, connection.Peer.Uid, exception);
            return "a fault of the broker";
        }
    }

    private void Close(ulong key, FdChannelConnection connection, string cause)
    {
        _logger.Disconnected(connection.Peer.Pid, connection.Peer.Uid, cause);
        _connections.TryRemove(key, out _);
        try
        {
            _epoll.Remove(connection.Socket);
            connection.Close();
        }
        catch (Exception exception)
        {
            _logger.Failed(connection.Peer.Pid, connection.Peer.Uid, exception);
        }
    }
}
