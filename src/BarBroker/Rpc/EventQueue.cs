// SPDX-License-Identifier: Apache-2.0

using System.Threading.Channels;
using BarBroker.Leases;
using Grpc.Core;

namespace BarBroker.Rpc;

/// <summary>The events of one watcher on their way to it. A watcher that lets them pile up is ended, so that it cannot hold the broker's memory.</summary>
internal sealed class EventQueue : ILeaseObserver, IDisposable
{
    public const int Capacity = 1024;

    private readonly Channel<(LeaseInfo? Lease, DeviceInfo? Device)> _events = Channel.CreateBounded<(LeaseInfo?, DeviceInfo?)>(
        new BoundedChannelOptions(Capacity) { SingleReader = true, FullMode = BoundedChannelFullMode.Wait });

    private readonly CancellationTokenSource _end;
    private readonly CancellationTokenRegistration _stopping;
    private readonly IDisposable _subscription;
    private readonly LeaseManager _leases;
    private readonly LeaseOwner? _client;
    private volatile bool _overflown;

    /// <param name="client">Sees the leases of its uid, and the devices that the policy allows it at that time; null: an operator, who sees all.</param>
    /// <param name="stopping">The broker ends.</param>
    /// <param name="cancellation">The watcher is gone.</param>
    public EventQueue(LeaseManager leases, LeaseOwner? client, CancellationToken stopping, CancellationToken cancellation)
    {
        _leases = leases;
        _client = client;
        _end = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        _subscription = leases.Subscribe(this);

        // What is queued, the ends of the leases above all, still goes out.
        _stopping = stopping.UnsafeRegister(static queue => ((EventQueue)queue!)._events.Writer.TryComplete(), this);
    }

    public void LeaseChanged(LeaseInfo lease)
    {
        if (_client is null || lease.Owner.Uid == _client.Uid)
        {
            Add((lease, null));
        }
    }

    public void DeviceChanged(DeviceInfo device) => Add((null, device));

    /// <summary>Writes the empty first message, then every event, until the watcher goes away.</summary>
    /// <exception cref="RpcException">RESOURCE_EXHAUSTED: it does not read. UNAVAILABLE: the broker ends.</exception>
    public async Task SendAsync<T>(IServerStreamWriter<T> watcher, Func<LeaseInfo?, DeviceInfo?, T> toMessage)
    {
        try
        {
            await WriteAsync(watcher, toMessage(null, null));
            await foreach (var (lease, device) in _events.Reader.ReadAllAsync(_end.Token))
            {
                // Here and not where it happened: the policy may have to look at the process.
                if (device is null || _client is null || _leases.Policy.DevicesOf(_client)(device.Name))
                {
                    await WriteAsync(watcher, toMessage(lease, device));
                }
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException && _overflown)
        {
            throw Ended();
        }

        throw Ended();
    }

    public void Dispose()
    {
        _subscription.Dispose();
        _stopping.Dispose();
        _end.Dispose();
    }

    /// <summary>
    /// Waits for the watcher's window, but not for ever. Cancelling the write itself would reset the stream, and the watcher would not learn why; so it is
    /// left pending, and goes out before the status if the watcher ever reads.
    /// </summary>
    private async Task WriteAsync<T>(IServerStreamWriter<T> watcher, T message)
    {
        var write = watcher.WriteAsync(message);
        try
        {
            await write.WaitAsync(_end.Token);
        }
        catch (OperationCanceledException) when (!write.IsCompleted)
        {
            _ = write.ContinueWith(static task => task.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
            throw;
        }
    }

    private RpcException Ended() => _overflown
        ? new RpcException(new Status(StatusCode.ResourceExhausted, $"More than {Capacity} events wait to be read; list anew and watch again."))
        : new RpcException(new Status(StatusCode.Unavailable, "The broker is shutting down."));

    private void Add((LeaseInfo?, DeviceInfo?) happened)
    {
        if (!_overflown && !_events.Writer.TryWrite(happened) && !_events.Reader.Completion.IsCompleted && _events.Reader.Count >= Capacity)
        {
            _overflown = true;
            ThreadPool.UnsafeQueueUserWorkItem(static queue => queue.Cancel(), this, preferLocal: false);
        }
    }

    /// <summary>Not on the thread of the change: what cancelling wakes up may take its time.</summary>
    private void Cancel()
    {
        try
        {
            _end.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The watcher went away at the same moment.
        }
    }
}
