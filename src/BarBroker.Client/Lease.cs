// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Linux;
using BarBroker.V1;

namespace BarBroker.Client;

/// <summary>
/// The right to use ranges of a device's BARs. It must be kept alive, by <see cref="Pulse"/> in the work loop, and may be lost all the same at any
/// time: then its memory is gone at once, and <see cref="Lost"/> tells why. Disposing gives it back.
/// </summary>
public sealed class Lease : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly BrokerClient _client;
    private readonly CancellationTokenSource _lost = new();
    private FdChannel _channel;
    private EventHandler<LeaseLostEventArgs>? _lostHandlers;
    private EventHandler<LeaseRecalledEventArgs>? _recalledHandlers;
    private LeaseLostEventArgs? _lostArgs;
    private LeaseRecalledEventArgs? _recalledArgs;
    private bool _releasing;
    private bool _disposed;

    internal Lease(BrokerClient client, V1.Lease message, ImmutableArray<FileDescriptor> files, LeaseClock clock, FdChannel channel)
    {
        _client = client;
        Clock = clock;
        _channel = channel;
        Id = message.Id;
        Epoch = message.Epoch;
        Device = message.Device;
        Pool = message.Pool;
        Slot = (int?)message.Slot;
        Access = message.Access;
        MemoryAttribute = message.MemoryAttribute;
        State = LeaseState.Active;
        Buffers = [.. message.Buffers.Zip(files, (buffer, file) => new LeaseBuffer(this, buffer, file))];
    }

    /// <summary>
    /// Raised once, when the lease ended and was not released: the memory is gone, or going. A handler that subscribes later is called, too.
    /// Handlers run one after the other on the thread pool; one that throws ends the process.
    /// </summary>
    public event EventHandler<LeaseLostEventArgs>? Lost
    {
        add
        {
            lock (_gate)
            {
                _lostHandlers += value;
                if (_lostArgs is { } args && value is not null)
                {
                    Post(() => value(this, args));
                }
            }
        }
        remove
        {
            lock (_gate)
            {
                _lostHandlers -= value;
            }
        }
    }

    /// <summary>Raised once, when the broker asks for the memory back: it is revoked after <see cref="LeaseRecalledEventArgs.Remaining"/>. As <see cref="Lost"/> in all else.</summary>
    public event EventHandler<LeaseRecalledEventArgs>? Recalled
    {
        add
        {
            lock (_gate)
            {
                _recalledHandlers += value;
                if (_recalledArgs is { } args && value is not null)
                {
                    Post(() => value(this, args));
                }
            }
        }
        remove
        {
            lock (_gate)
            {
                _recalledHandlers -= value;
            }
        }
    }

    /// <summary>Short text, never reused. Knowing it gives no right.</summary>
    public string Id { get; }

    /// <summary>Fencing token: grows with every grant of this broker, also across its restarts.</summary>
    public ulong Epoch { get; }

    public string Device { get; }

    /// <summary>The pool that it is from. Empty: none.</summary>
    public string Pool { get; }

    /// <summary>Which slot of the pool, on this device. Null: the pool has none.</summary>
    public int? Slot { get; }

    public ImmutableArray<LeaseBuffer> Buffers { get; }

    public Access Access { get; }

    public MemoryAttribute MemoryAttribute { get; }

    /// <summary>The granted TTL.</summary>
    public TimeSpan Ttl => Clock.Ttl;

    /// <summary>As far as this process was told.</summary>
    public LeaseState State { get; private set; }

    /// <summary>Why it ended, as far as this process was told.</summary>
    public EndReason EndReason { get; private set; }

    /// <summary>Cancelled when the lease is lost.</summary>
    public CancellationToken LostToken => _lost.Token;

    internal LeaseClock Clock { get; }

    /// <summary>Where its notices come.</summary>
    internal FdChannel Channel { get => Volatile.Read(ref _channel); set => Volatile.Write(ref _channel, value); }

    /// <summary>Whether it still wants to be kept alive.</summary>
    internal bool IsLive
    {
        get
        {
            lock (_gate)
            {
                return !_releasing && !IsOver;
            }
        }
    }

    private bool IsOver => State is LeaseState.Revoking or LeaseState.Ended or LeaseState.Stuck;

    /// <summary>
    /// Says that the application made progress. Call it from the work loop, at least every third of <see cref="Ttl"/>: the lease is renewed only if it was called
    /// since the last renewal. It costs one interlocked addition; any thread may call it, at any rate.
    /// </summary>
    public void Pulse()
    {
        if (Clock.Pulse())
        {
            _client.KeepAlive.Wake();
        }
    }

    /// <summary>Gives the lease back and waits until the broker has proof that access is over.</summary>
    /// <returns><see cref="LeaseState.Ended"/>, or <see cref="LeaseState.Stuck"/>: the device does not confirm it, and the range stays unusable until it does.</returns>
    /// <exception cref="BrokerUnavailableException">The broker does not answer; the lease is not renewed any more and ends by its TTL.</exception>
    public async Task<LeaseState> ReleaseAsync(CancellationToken cancellation = default)
    {
        lock (_gate)
        {
            if (State is LeaseState.Ended or LeaseState.Stuck)
            {
                return State;
            }

            _releasing = true;
        }

        using var span = Tracing.BeginRelease(Id, Trace);
        var message = await _client.ReleaseAsync(Id, cancellation).ConfigureAwait(false);
        Update(message);
        return message.State;
    }

    /// <summary>
    /// Releases the lease, waiting no longer than the client's release timeout, and closes its descriptors. It does not throw: a lease that the
    /// broker could not be told about is not renewed any more and ends by its TTL. Mappings are the application's to dispose.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
        }

        try
        {
            using var timeout = new CancellationTokenSource(_client.Options.ReleaseTimeout);
            await ReleaseAsync(timeout.Token).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is BrokerException or OperationCanceledException or ObjectDisposedException)
        {
            // Nothing to be done here, also where the client was disposed before: without renewals the lease ends by its TTL, at the latest with this process.
        }

        _client.Table.Remove(this);
        foreach (var buffer in Buffers)
        {
            buffer.File.Dispose();
        }
    }

    /// <summary>Where it was acquired; default: nobody traced.</summary>
    internal System.Diagnostics.ActivityContext Trace { get; set; }

    /// <summary>As <see cref="LeaseRecalledEventArgs.Acknowledge"/>, and waits for the broker's answer.</summary>
    /// <exception cref="BrokerException">The call failed.</exception>
    public Task AcknowledgeRecallAsync(CancellationToken cancellation = default) => _client.AcknowledgeRecallAsync(Id, cancellation);

    public override string ToString() => $"lease {Id} on {Device}";

    /// <summary>Takes in what the broker says about the lease.</summary>
    internal void Update(V1.Lease message)
    {
        switch (message.State)
        {
            case LeaseState.Recalled:
                Recall(message);
                break;
            case LeaseState.Revoking or LeaseState.Stuck or LeaseState.Ended:
                End(message.State, message.EndReason, message.EndDetail);
                break;
        }
    }

    /// <summary>The lease is over; the first word about it counts, later ones only move the state on.</summary>
    internal void End(LeaseState state, EndReason reason, string detail)
    {
        LeaseLostEventArgs? args = null;
        lock (_gate)
        {
            if (!IsOver)
            {
                EndReason = reason;
                args = _releasing ? null : _lostArgs = new LeaseLostEventArgs(reason, detail);
            }

            if (!IsOver || state == LeaseState.Ended || State == LeaseState.Revoking)
            {
                State = state;
            }

            if (args is not null)
            {
                var handlers = _lostHandlers;
                _client.Table.Events.Post(() => RaiseLostAsync(handlers, args));
            }
        }

        if (state == LeaseState.Ended)
        {
            _client.Table.Remove(this);
        }
    }

    internal void ThrowIfOver()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (IsOver)
        {
            throw MemoryGone(0);
        }
    }

    /// <summary>The exception for memory that was found gone.</summary>
    internal LeaseLostException MemoryGone(ulong copied, Exception? inner = null)
    {
        string why = _lostArgs is { } args ? $"{args.Reason}{(args.Detail.Length > 0 ? $", {args.Detail}" : "")}" : _releasing ? "it was released" : "the broker has not told yet why";
        return new LeaseLostException(Id, EndReason, $"Lease {Id} on {Device} is over ({why}); its memory is gone. Acquire a new lease.", inner) { Copied = copied };
    }

    private void Recall(V1.Lease message)
    {
        lock (_gate)
        {
            if (IsOver || _recalledArgs is not null)
            {
                return;
            }

            State = LeaseState.Recalled;
            var args = _recalledArgs = new LeaseRecalledEventArgs(message.RecallRemaining?.ToTimeSpan() ?? TimeSpan.Zero, message.RecallReason, message.RecallDetail, AcknowledgeRecall);
            var handlers = _recalledHandlers;
            Post(() => handlers?.Invoke(this, args));
        }
    }

    /// <summary>On the fd socket, where the notice came from; where that is gone, the recall was learnt from the other one.</summary>
    private void AcknowledgeRecall()
    {
        if (!Channel.Acknowledge(Id))
        {
            _client.Table.Events.Post(TryAcknowledgeRecallAsync);
        }
    }

    private async ValueTask TryAcknowledgeRecallAsync()
    {
        try
        {
            await AcknowledgeRecallAsync().ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is BrokerException or ObjectDisposedException)
        {
            // Nothing depends on it.
        }
    }

    private async ValueTask RaiseLostAsync(EventHandler<LeaseLostEventArgs>? handlers, LeaseLostEventArgs args)
    {
        await _lost.CancelAsync().ConfigureAwait(false);
        handlers?.Invoke(this, args);
    }

    private void Post(Action handler) => _client.Table.Events.Post(() =>
    {
        handler();
        return ValueTask.CompletedTask;
    });
}
