// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using BarBroker.Linux;
using BarBroker.Linux.Sockets;
using BarBroker.V1;
using Google.Protobuf;

namespace BarBroker.Client;

/// <summary>One connection to the fd socket: leases and their descriptors come on it, in whatever order, and notices between them.</summary>
internal sealed partial class FdChannel : IAsyncDisposable
{
    /// <summary>The longest packet of the protocol.</summary>
    private const int MaxPacketBytes = 64 * 1024;

    /// <summary>The most buffers of a lease.</summary>
    private const int MaxFiles = 8;

    /// <summary>The most acquires that may wait for their answers.</summary>
    private const int MaxWaiters = 128;

    private readonly Socket _socket;
    private readonly string _path;
    private readonly LeaseTable _table;
    private readonly SemaphoreSlim _room = new(MaxWaiters);
    private readonly Lock _gate = new();
    private readonly Dictionary<string, FdWaiter> _waiters = new(StringComparer.Ordinal);
    private readonly byte[] _buffer = new byte[MaxPacketBytes];
    private readonly FdReader _reader;
    private Exception? _failure;

    private FdChannel(Socket socket, string path, LeaseTable table)
    {
        _socket = socket;
        _path = path;
        _table = table;
        _reader = new FdReader(socket, Drain);
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
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Asks for a lease and waits for it.</summary>
    /// <exception cref="BrokerException">The broker says no.</exception>
    /// <exception cref="BrokerUnavailableException">The connection broke, or there was no answer in that time.</exception>
    public async Task<Lease> AcquireAsync(AcquireRequest message, LeaseRequest request, TimeSpan timeout, CancellationToken cancellation)
    {
        byte[] packet = new FdRequest { Acquire = message, Traceparent = Tracing.Traceparent() }.ToByteArray();
        if (packet.Length > MaxPacketBytes)
        {
            throw new LeaseRefusedException(Grpc.Core.StatusCode.InvalidArgument, $"The request has {packet.Length} bytes; the broker takes {MaxPacketBytes}.");
        }

        await _room.WaitAsync(cancellation).ConfigureAwait(false);
        var waiter = await AddAsync(message.RequestId, request, cancellation).ConfigureAwait(false);
        await AskAsync(packet, waiter).ConfigureAwait(false);
        if (waiter.Task.IsCompleted)
        {
            return await waiter.Task.ConfigureAwait(false);
        }

        try
        {
            return await waiter.Task.WaitAsync(timeout, cancellation).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (GiveUp(waiter))
        {
            throw;
        }
        catch (TimeoutException exception) when (GiveUp(waiter))
        {
            throw new BrokerUnavailableException(_path, $"the broker did not answer within {timeout.TotalSeconds:0.#} s", exception);
        }
        catch (Exception exception) when (exception is OperationCanceledException or TimeoutException)
        {
            // Answered at the last moment.
            return await waiter.Task.ConfigureAwait(false);
        }
    }

    /// <summary>Tells that a recall is known. False: it could not be sent here.</summary>
    public bool Acknowledge(string leaseId) => IsOpen && TrySend(new FdRequest { Acknowledge = new AcknowledgeRequest { LeaseId = leaseId } });

    public async ValueTask DisposeAsync()
    {
        _reader.Stop();
        await _reader.Ended.ConfigureAwait(false);
        Fail(new ObjectDisposedException(nameof(BrokerClient)));
        _reader.Dispose();
        _socket.Dispose();
    }

    /// <summary>An acquire that was given up is still to be answered before its request id is free.</summary>
    private async Task<FdWaiter> AddAsync(string requestId, LeaseRequest request, CancellationToken cancellation)
    {
        var waiter = new FdWaiter(requestId, request, _table.Time.GetTimestamp());
        try
        {
            while (Add(waiter) is { } other)
            {
                await other.Answered.WaitAsync(cancellation).ConfigureAwait(false);
            }

            return waiter;
        }
        catch
        {
            _room.Release();
            throw;
        }
    }

    /// <returns>The one that has the request id; null: added.</returns>
    private FdWaiter? Add(FdWaiter waiter)
    {
        lock (_gate)
        {
            if (_failure is { } cause)
            {
                throw BrokerUnavailableException.From(_path, cause);
            }

            if (_waiters.TryGetValue(waiter.RequestId, out var other))
            {
                return other;
            }

            _waiters.Add(waiter.RequestId, waiter);
            return null;
        }
    }

    private async ValueTask AskAsync(byte[] packet, FdWaiter waiter)
    {
        try
        {
            _reader.Enter();
            try
            {
                if (!FdSocket.TrySend(_socket, packet, []))
                {
                    // Not cancelled halfway: the waiter is known and its answer must come.
                    await _socket.SendAsync(packet, SocketFlags.None, CancellationToken.None).ConfigureAwait(false);
                }

                _reader.ReadUntil(waiter.Task);
            }
            finally
            {
                _reader.Leave();
            }
        }
        catch (Exception exception) when (exception is SocketException or LinuxException or ObjectDisposedException)
        {
            Fail(exception);
        }
    }

    /// <summary>The answer is still to come, and finds that nobody waits, see <see cref="Deliver"/>. The broker need not be told, but then it can do without the lease earlier.</summary>
    /// <returns>False: it was answered.</returns>
    private bool GiveUp(FdWaiter waiter)
    {
        if (!waiter.TrySetCanceled())
        {
            return false;
        }

        TrySend(new FdRequest { Cancel = new CancelRequest { RequestId = waiter.RequestId } });
        return true;
    }

    /// <summary>Without waiting. False: the broker does not read, or the connection is over.</summary>
    private bool TrySend(FdRequest request)
    {
        try
        {
            return FdSocket.TrySend(_socket, request.ToByteArray(), []);
        }
        catch (Exception exception) when (exception is LinuxException or ObjectDisposedException)
        {
            // The reader hears of it, too.
            return false;
        }
    }

    /// <summary>Takes in every packet that is there. False: the connection is over. By one thread at a time.</summary>
    private bool Drain()
    {
        try
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
        }
#pragma warning disable CA1031 // Handed to everybody who waits: nobody else would ever answer them.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Fail(exception);
        }

        return IsOpen;
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
                case FdResponse.ResponseOneofCase.Delivery when response.Delivery is { FetchedBefore: true } delivery && Take(delivery.RequestId) is { } waiter:
                    FetchedBefore(waiter, delivery.Lease.Id);
                    break;
                case FdResponse.ResponseOneofCase.Delivery when response.Delivery is { } delivery && delivery.Lease?.Buffers.Count == packet.Files.Length && Take(delivery.RequestId) is { } waiter:
                    taken = true;
                    Deliver(waiter, delivery.Lease, packet);
                    break;
                case FdResponse.ResponseOneofCase.Followed when TakeFollow() is { } follow:
                    follow.TrySetResult(response.Followed.Results);
                    break;
                case FdResponse.ResponseOneofCase.Error when Take(response.Error.RequestId) is { } waiter:
                    waiter.TrySetException(Failures.Of(response.Error));
                    break;
                case FdResponse.ResponseOneofCase.Error:
                    Fail(Failures.Of(response.Error));
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

    private void FetchedBefore(FdWaiter waiter, string leaseId)
    {
        if (_table.Find(leaseId) is { } known)
        {
            waiter.TrySetResult(known);
        }
        else
        {
            string message = $"Request {waiter.RequestId} gave lease {leaseId}, whose fds were fetched already; use another request id.";
            waiter.TrySetException(new LeaseRefusedException(Grpc.Core.StatusCode.AlreadyExists, message) { LeaseId = leaseId });
        }
    }

    private FdWaiter? Take(string requestId)
    {
        FdWaiter? waiter;
        lock (_gate)
        {
            if (!_waiters.Remove(requestId, out waiter))
            {
                return null;
            }
        }

        waiter.SetAnswered();
        _room.Release();
        return waiter;
    }

    private void Fail(Exception cause)
    {
        FdWaiter[] waiters;
        lock (_gate)
        {
            if (_failure is not null)
            {
                return;
            }

            Volatile.Write(ref _failure, cause);
            // None is added any more.
            waiters = [.. _waiters.Values];
        }

        foreach (var waiter in waiters)
        {
            if (Take(waiter.RequestId) is not null)
            {
                waiter.TrySetException(BrokerUnavailableException.From(_path, cause));
            }
        }

        TakeFollow()?.TrySetException(BrokerUnavailableException.From(_path, cause));

        _table.Disconnected(this);
    }
}
