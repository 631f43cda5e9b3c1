// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Client;

/// <summary>When a lease must be renewed, and what the application did since the last time. Only the keep-alive loop calls it, but for <see cref="Pulse"/>, <see cref="AskFrom"/>, <see cref="Unfollowed"/> and <see cref="Followed"/>.</summary>
internal sealed class LeaseClock
{
    /// <summary>A restart of the broker takes less, as a rule; asking about each of many leases would take longer than following them all.</summary>
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(2);

    private readonly TimeProvider _time;
    private readonly bool _always;
    private long _progress;
    private long _sent;
    private bool _overdue;
    private long _askAt = long.MaxValue;

    public LeaseClock(TimeProvider time, V1.Lease message, FdWaiter waiter)
    {
        _time = time;
        _always = waiter.Request.KeepAlive == KeepAliveMode.WhileProcessLives;
        Ttl = message.Ttl.ToTimeSpan();
        Renewed(waiter.Asked, Ttl, 0);
    }

    public TimeSpan Ttl { get; }

    /// <summary>When the broker ends the lease, or a little earlier: counted from before it was asked.</summary>
    public long Deadline { get; private set; }

    /// <summary>The next renewal, if there is progress by then.</summary>
    public long RenewAt { get; private set; }

    /// <summary>When to ask the broker about the lease, because no notices come.</summary>
    public long AskAt => Math.Min(Interlocked.Read(ref _askAt), Deadline);

    /// <summary>Notes progress. True: the renewal is late for want of it, and can be sent now.</summary>
    public bool Pulse()
    {
        Interlocked.Increment(ref _progress);
        return Volatile.Read(ref _overdue);
    }

    /// <summary>Asks the broker from then on.</summary>
    public void AskFrom(long timestamp) => Interlocked.Exchange(ref _askAt, timestamp);

    /// <summary>No notices come any more. Unless they come in another way by then, the broker is asked in a moment; or as before, if it is asked already.</summary>
    public void Unfollowed(long now) => Interlocked.CompareExchange(ref _askAt, Later(now, _patience), long.MaxValue);

    /// <summary>Notices come: it need not be asked.</summary>
    public void Followed() => Interlocked.Exchange(ref _askAt, long.MaxValue);

    /// <summary>The heartbeat's progress, if a renewal is due and deserved.</summary>
    public bool IsDue(long now, out ulong progress)
    {
        progress = 0;
        if (now < RenewAt)
        {
            return false;
        }

        // The flag before the counter, with a fence between; Pulse does it the other way round, so one of the two sees the other.
        Volatile.Write(ref _overdue, true);
        Interlocked.MemoryBarrier();
        long current = Interlocked.Read(ref _progress);
        if (_always && current == _sent)
        {
            current = Interlocked.Increment(ref _progress);
        }

        progress = (ulong)current;
        return current != _sent;
    }

    public void Renewed(long asked, TimeSpan remaining, ulong progress)
    {
        _sent = (long)progress;
        Volatile.Write(ref _overdue, false);
        Remaining(asked, remaining);
        RenewAt = Later(asked, Ttl / 3);
    }

    /// <summary>The broker told how long the lease still lives.</summary>
    public void Remaining(long asked, TimeSpan remaining) => Deadline = Later(asked, remaining);

    /// <summary>The broker did not answer: the renewal waits.</summary>
    public void Postpone(long now, TimeSpan delay) => RenewAt = Math.Max(RenewAt, Later(now, delay));

    /// <summary>The broker was asked; if that is how the lease is followed, the next time is after <paramref name="delay"/>.</summary>
    public void AskAgain(long now, TimeSpan delay)
    {
        long asked = Interlocked.Read(ref _askAt);
        if (asked != long.MaxValue)
        {
            // Unless it is followed in another way meanwhile.
            Interlocked.CompareExchange(ref _askAt, Later(now, delay), asked);
        }
    }

    /// <summary>The next time that something is to be done, if nobody pulses.</summary>
    public long Next => Volatile.Read(ref _overdue) && RenewAt <= _time.GetTimestamp() ? AskAt : Math.Min(RenewAt, AskAt);

    private long Later(long timestamp, TimeSpan delay) => timestamp + (long)(delay.TotalSeconds * _time.TimestampFrequency);
}
