// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;

namespace BarBroker.Leases;

/// <summary>
/// What is to be told, in order. Entries are put in under the lease book's lock, which gives the order, and delivered after it was left, by one
/// thread at a time: whoever finds nobody delivering delivers for all. A thread whose entry another one is just delivering does not wait for that.
/// </summary>
internal sealed class ObserverQueue : IDisposable
{
    /// <summary>A burst is over when nothing of it came for so long.</summary>
    private static readonly TimeSpan Quiet = TimeSpan.FromMilliseconds(10);

    /// <summary>What was put off longest is told after this, also if the burst is not over.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromMilliseconds(200);

    private readonly TimeProvider _time;

    private readonly ConcurrentQueue<Action> _queue = new();
    private readonly Lock _gate = new();
    private volatile ILeaseObserver[] _observers = [];
    private readonly ITimer _soon;
    private int _delivering;
    private int _isDueSoon;
    private long _putOffAt;
    private long _lastPutOffAt;

    public ObserverQueue(TimeProvider time)
    {
        _time = time;
        _soon = time.CreateTimer(static queue => ((ObserverQueue)queue!).DrainNow(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public bool HasObservers => _observers.Length > 0;

    public IDisposable Subscribe(ILeaseObserver observer)
    {
        lock (_gate)
            _observers = [.. _observers, observer];
        return new Subscription(this, observer);
    }

    public void Add(LeaseInfo lease) => _queue.Enqueue(() =>
    {
        foreach (ILeaseObserver observer in _observers)
            observer.LeaseChanged(lease);
    });

    public void AddRecord(LeaseInfo lease) => _queue.Enqueue(() =>
    {
        foreach (ILeaseObserver observer in _observers)
            observer.LeaseRecorded(lease);
    });

    public void Add(DeviceInfo device) => _queue.Enqueue(() =>
    {
        foreach (ILeaseObserver observer in _observers)
            observer.DeviceChanged(device);
    });

    /// <summary>Something to do after everything added before was told.</summary>
    public void Add(Action completion) => _queue.Enqueue(completion);

    /// <summary>Delivers. Never called under a lock. An observer that throws breaks its contract; the exception goes to whoever delivers.</summary>
    public void Drain()
    {
        // The check after the flag is put back catches an entry that came when this thread was about to leave.
        while (!_queue.IsEmpty && Interlocked.CompareExchange(ref _delivering, 1, 0) == 0)
        {
            try
            {
                while (_queue.TryDequeue(out Action? entry))
                    entry();
            }
            finally
            {
                Volatile.Write(ref _delivering, 0);
            }

            // Orders the write before the next look at the queue.
            Interlocked.MemoryBarrier();
        }
    }

    /// <summary>Many leases end, and the processors are needed for that: has it delivered when that is over, if nobody does before.</summary>
    public void DrainSoon()
    {
        long now = _time.GetTimestamp();
        Volatile.Write(ref _lastPutOffAt, now);
        if (Interlocked.Exchange(ref _isDueSoon, 1) != 0)
            return;
        Volatile.Write(ref _putOffAt, now);
        _soon.Change(Quiet, Timeout.InfiniteTimeSpan);
    }

    public void Dispose() => _soon.Dispose();

    private void DrainNow()
    {
        if (_time.GetElapsedTime(Volatile.Read(ref _lastPutOffAt)) < Quiet && _time.GetElapsedTime(Volatile.Read(ref _putOffAt)) < Longest)
        {
            _soon.Change(Quiet, Timeout.InfiniteTimeSpan);
            return;
        }

        Volatile.Write(ref _isDueSoon, 0);
        Drain();
    }

    private void Remove(ILeaseObserver observer)
    {
        lock (_gate)
        {
            var rest = _observers.ToList();
            rest.Remove(observer);
            _observers = [.. rest];
        }
    }

    private sealed class Subscription(ObserverQueue queue, ILeaseObserver observer) : IDisposable
    {
        public void Dispose() => queue.Remove(observer);
    }
}
