// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using BarBroker.Linux.Sockets;
using BarBroker.V1;
using Google.Protobuf;
using Grpc.Core;

namespace BarBroker.Client;

/// <summary>
/// One connection to the fd socket. Answers come in the order of the requests, notices between them. Whoever waits for an answer looks at
/// the socket itself for a moment, which saves the way through the thread pool; everything later is the receive loop's.
/// </summary>
internal sealed class FdChannel : IAsyncDisposable
{
    /// <summary>The longest packet of the protocol.</summary>
    private const int MaxPacketBytes = 64 * 1024;

    /// <summary>The most buffers of a lease.</summary>
    private const int MaxFiles = 8;

    private static readonly TimeSpan _pollTime = TimeSpan.FromMilliseconds(1);

    private readonly Socket _socket;
    private readonly string _path;
    private readonly LeaseTable _table;
    private readonly SemaphoreSlim _sending = new(1);
    private readonly Lock _receiving = new();
    private readonly Lock _gate = new();
    private readonly Queue<FdWaiter> _waiters = new();
    private readonly byte[] _buffer = new byte[MaxPacketBytes];
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loop;
    private Exception? _failure;

    private FdChannel(Socket socket, string path, LeaseTable table)
    {
        _socket = socket;
        _path = path;
        _table = table;
        _loop = ReceiveLoopAsync();
    }

    /// <summary>False once the connection broke.</summary>
    public bool IsOpen => Volatile.Read(ref _failure) is null;

    /// <exception cref="BrokerUnavailableException">Nobody accepts.</exception>
    public static async Task<FdChannel> ConnectAsync(string path, LeaseTable table, CancellationToken cancellation)
    {
        var socket = FdSocket.Create();
        try
        {
            await socket.ConnectAsync(BrokerChannel.Address(path), cancellation).ConfigureAwait(false);
            return new FdChannel(socket, path, table);
        }
        catch (SocketException exception)
        {
            socket.Dispose();
            throw BrokerUnavailableException.From(path, exception);
        }
    }

    /// <summary>Shows the ticket and waits for the lease.</summary>
    /// <exception cref="BrokerUnavailableException">The connection broke.</exception>
    public async Task<Lease> RedeemAsync(ByteString ticket, FdWaiter waiter, CancellationToken cancellation)
    {
        byte[] packet = new FdRequest { Redeem = new RedeemRequest { Ticket = ticket } }.ToByteArray();
        await _sending.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            lock (_gate)
            {
                ThrowIfBroken();
                _waiters.Enqueue(waiter);
            }

            // Not cancelled halfway: the waiter is in the queue and its answer must come.
            await _socket.SendAsync(packet, SocketFlags.None, CancellationToken.None).ConfigureAwait(false);
        }
        catch (SocketException exception)
        {
            Fail(exception);
        }
        finally
        {
            _sending.Release();
        }

        PollOnce(waiter);
        // An answer to a cancelled waiter finds that nobody waits, see Deliver.
        using var registration = cancellation.UnsafeRegister(static (state, token) => ((FdWaiter)state!).TrySetCanceled(token), waiter);
        return await waiter.Task.ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(false);
        _socket.Dispose();
        _stop.Dispose();
        _sending.Dispose();
    }

    /// <summary>
    /// Under the receive lock, so that the receive loop does not take the answer first and leave this thread waiting for what has come already. Who does not get
    /// the lock has somebody else looking for its answer.
    /// </summary>
    private void PollOnce(FdWaiter waiter)
    {
        if (!_receiving.TryEnter())
        {
            return;
        }

        try
        {
            while (!waiter.Task.IsCompleted && _socket.Poll(_pollTime, SelectMode.SelectRead) && Drain())
            {
            }
        }
#pragma warning disable CA1031 // Handed to everybody who waits.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Fail(exception);
        }
        finally
        {
            _receiving.Exit();
        }
    }

    private async Task ReceiveLoopAsync()
    {
        try
        {
            do
            {
                await _socket.ReceiveAsync(Memory<byte>.Empty, SocketFlags.None, _stop.Token).ConfigureAwait(false);
            }
            while (Drain());
        }
#pragma warning disable CA1031 // Whatever ends the loop is handed to everybody who waits: nobody else would ever answer them.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Fail(exception);
        }
    }

    /// <summary>Takes in every packet that is there. False: the connection is over.</summary>
    private bool Drain()
    {
        lock (_receiving)
        {
            while (IsOpen && FdSocket.TryReceive(_socket, _buffer, MaxFiles) is { } packet)
            {
                if (packet is { Length: 0, Files.Length: 0 })
                {
                    Fail(new EndOfStreamException("the broker closed the connection"));
                }
                else
                {
                    Dispatch(packet);
                }
            }

            return IsOpen;
        }
    }

    private void Dispatch(ReceivedPacket packet)
    {
        bool taken = false;
        try
        {
            var response = FdResponse.Parser.ParseFrom(_buffer, 0, packet.Length);
            switch (response.ResponseCase)
            {
                case FdResponse.ResponseOneofCase.Notice:
                    _table.Notice(response.Notice.Lease);
                    break;
                case FdResponse.ResponseOneofCase.Delivery when response.Delivery.Lease?.Buffers.Count == packet.Files.Length && NextWaiter() is { } waiter:
                    taken = true;
                    Deliver(waiter, response.Delivery.Lease, packet);
                    break;
                case FdResponse.ResponseOneofCase.Error when NextWaiter() is { } waiter:
                    waiter.TrySetException(new LeaseRefusedException((StatusCode)response.Error.Code, response.Error.Message));
                    break;
                default:
                    Fail(new InvalidDataException($"the broker sent something unexpected ({response.ResponseCase} with {packet.Files.Length} fds)"));
                    break;
            }
        }
        finally
        {
            if (!taken)
            {
                packet.Dispose();
            }
        }
    }

    private void Deliver(FdWaiter waiter, V1.Lease message, ReceivedPacket packet)
    {
        var lease = _table.Delivered(this, message, packet.Files, waiter);
        if (!waiter.TrySetResult(lease))
        {
            _table.Abandoned(lease);
        }
    }

    private FdWaiter? NextWaiter()
    {
        lock (_gate)
        {
            return _waiters.TryDequeue(out var waiter) ? waiter : null;
        }
    }

    private void Fail(Exception cause)
    {
        lock (_gate)
        {
            if (_failure is not null)
            {
                return;
            }

            Volatile.Write(ref _failure, cause);
        }

        // No waiter is added any more.
        while (NextWaiter() is { } waiter)
        {
            waiter.TrySetException(BrokerUnavailableException.From(_path, cause));
        }

        _table.Disconnected(this);
    }

    private void ThrowIfBroken()
    {
        if (_failure is { } cause)
        {
            throw BrokerUnavailableException.From(_path, cause);
        }
    }
}
