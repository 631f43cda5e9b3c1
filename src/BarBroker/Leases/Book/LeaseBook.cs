// SPDX-License-Identifier: Apache-2.0

using System.Runtime.CompilerServices;
using BarBroker.Policy;
using BarBroker.Telemetry;

namespace BarBroker.Leases;

/// <summary>
/// All leases and devices, and every transition of them. The parts: grants (what an acquire does), ends (how a lease ends and what proves it),
/// proofs (how these come), devices (open, close, how they leave and come back), sweep (what time does), waiting (whose turn it is), places (where waiters will go), preemption, policy, queries.
/// </summary>
/// <remarks>
/// <para>
/// Locking. One lock guards everything here: leases, slots, owners, allocators, tickets, deadlines. Every public method takes it once through
/// <see cref="Enter"/>; private methods expect it. Nothing under it waits or calls into a device, an observer or a continuation: commands for the
/// device threads are only queued, completion sources run their continuations elsewhere, and what observers are to be told is put in a queue.
/// Leaving the lock then arms the timer and delivers that queue (see <see cref="ObserverQueue"/> for the order). Other locks (the sweeper's, those of the
/// device threads' wake-up) are leaves: whoever holds one takes no other, except that a timer of a test may sweep inside of the sweeper's.
/// </para>
/// <para>
/// A device thread holds no lock while it is in the kernel. It comes here before each call, to hear whether the call is still wanted, and after it, to
/// say what came of it; what happened meanwhile is visible in the lease's state and <see cref="ExportPhase"/>.
/// </para>
/// </remarks>
internal sealed partial class LeaseBook : IDisposable
{
    private readonly Lock _lock = new();
    private LeaseOptions _options;
    private readonly LeaseClock _clock;
    private readonly LeaseMetrics _metrics;
    private readonly Sweeper _sweeper;
    private readonly ObserverQueue _observers;
    private readonly DeadlineQueue _deadlines = new();
    private readonly TicketStore _tickets = new();
    private readonly DeviceSlot[] _slots;
    private readonly Dictionary<string, DeviceSlot> _slotsByName = [];

    /// <summary>Leases that have not ended, and the last ones that have.</summary>
    private readonly Dictionary<string, Lease> _byId = [];

    private readonly Queue<Lease> _ended = [];
    private readonly Dictionary<uint, UidAccount> _accounts = [];

    // Weak: an owner that nobody refers to any more cannot ask for anything, so that it exited need not be remembered.
    private readonly ConditionalWeakTable<LeaseOwner, OwnerRecord> _owners = [];

    private readonly int[] _countByState = new int[(int)LeaseState.Stuck + 1];
    private int _lockWaiters;
    private ulong _nextEpoch;
    private long _endedCount;
    private bool _shuttingDown;

    public LeaseBook(LeaseOptions options, IEnumerable<DeviceRegistration> devices, ulong firstEpoch, LeaseClock clock, LeaseMetrics metrics)
    {
        _options = options;
        _pools = options.Pools;
        _clock = clock;
        _observers = new ObserverQueue(clock.Provider);
        _metrics = metrics;
        _nextEpoch = firstEpoch;
        _slots = [.. devices.Select(static d => new DeviceSlot(d))];
        foreach (DeviceSlot slot in _slots)
        {
            if (!_slotsByName.TryAdd(slot.Name, slot))
                throw new ArgumentException($"two devices are called {slot.Name}; give each a name of its own", nameof(devices));
        }

        _sweeper = new Sweeper(clock, Sweep);
    }

    public IReadOnlyList<DeviceSlot> Slots => _slots;

    /// <summary>Null: nothing is kept over a restart. To be set before the start.</summary>
    public LeaseBoard? Board { get; set; }

    public IDisposable Subscribe(ILeaseObserver observer) => _observers.Subscribe(observer);

    public Redemption Redeem(ReadOnlySpan<byte> ticket, uint uid)
    {
        using Transition _ = Enter();
        Lease? lease = _tickets.Find(ticket);
        if (lease is null || lease.Owner.Owner.Uid != uid || lease.EndReason == EndReason.TicketExpired)
            throw UnknownTicket();
        if (!lease.IsLive)
            throw Ended(lease);
        long now = _clock.Now;
        // The sweep may be a little late; a ticket is not valid for longer by that.
        if (lease.TicketDeadline <= now)
            throw UnknownTicket();
        Fetch(lease, now);
        Tell(lease, now);
        return new Redemption(lease.ToInfo(_clock, now), lease.Exported);
    }

    /// <summary>
    /// Only writes the new deadline. A heartbeat counts as long as the sweep has not ended the lease, even where the deadline is past: this is
    /// how heartbeats that waited while the broker was stalled are honoured.
    /// </summary>
    public Renewal Renew(string leaseId, uint uid, ulong progress)
    {
        Lock();
        try
        {
            if (!_byId.TryGetValue(leaseId, out Lease? lease) || lease.Owner.Owner.Uid != uid)
                return default;
            if (!lease.IsLive)
                return new Renewal(TimeSpan.Zero, lease.State, lease.EndReason);
            long now = _clock.Now;
            lease.TtlDeadline = now + lease.TtlUnits;
            if (progress != lease.Progress)
            {
                lease.Progress = progress;
                lease.ProgressAt = now;
            }

            long end = Math.Min(lease.RecallDeadline, lease.LifeDeadline);
            TimeSpan remaining = end < lease.TtlDeadline ? _clock.Span(Math.Max(0, end - now)) : lease.Ttl;
            return new Renewal(remaining, lease.State, EndReason.None);
        }
        finally
        {
            _lock.Exit();
        }
    }

    public void Dispose()
    {
        _sweeper.Dispose();
        _observers.Dispose();
    }

    private static LeaseException UnknownTicket() => new(LeaseError.NotFound, "no such ticket, or it was used, or has expired, or is another user's; acquire again");

    private static LeaseException Ended(Lease lease) =>
        new(LeaseError.Ended, $"lease {lease.Id} has ended ({lease.EndReason}{(lease.EndDetail.Length > 0 ? $": {lease.EndDetail}" : "")}); acquire a new one")
        {
            LeaseId = lease.Id,
            Device = lease.Slot.Name,
            EndReason = lease.EndReason,
        };

    private static LeaseException Unavailable(string device, string message) => new(LeaseError.Unavailable, message) { Device = device };

    private Lease Find(string leaseId, uint? uid)
    {
        if (!_byId.TryGetValue(leaseId, out Lease? lease) || (uid is { } u && lease.Owner.Owner.Uid != u))
            throw Awaited(leaseId, uid) ?? new LeaseException(LeaseError.NotFound, $"no lease {leaseId} is known here; it never was, or ended long ago, or is another user's") { LeaseId = leaseId };
        return lease;
    }

    /// <param name="terms">Of the acquire that names it: what they do not allow is not told of.</param>
    private DeviceSlot FindSlot(string name, LeaseTerms? terms = null)
    {
        if (_slotsByName.TryGetValue(name, out DeviceSlot? slot))
            return slot;
        string[] others = [.. _slots.Select(static s => s.Name).Where(n => terms is null || terms.AllowsDevice(n))];
        string there = others.Length == 0 ? "" : $"; there {(others.Length == 1 ? "is" : "are")} {string.Join(", ", others)}";
        throw new LeaseException(LeaseError.NotFound, $"there is no device {name}{there}") { Field = "device", Device = name };
    }

    /// <summary>The buffers are about to be handed over: its client's clocks start.</summary>
    private void Fetch(Lease lease, long now)
    {
        _tickets.Drop(lease);
        lease.Fetched = true;
        lease.TtlDeadline = now + lease.TtlUnits;
        lease.ProgressAt = now;
        if (lease.State == LeaseState.Granted)
            SetState(lease, LeaseState.Active);
        Requeue(lease);
    }

    private void SetState(Lease lease, LeaseState state)
    {
        _countByState[(int)lease.State]--;
        _countByState[(int)state]++;
        lease.State = state;
    }

    private void Tell(Lease lease, long now)
    {
        if (_observers.HasObservers)
            _observers.Add(lease.ToInfo(_clock, now));
    }

    /// <summary>For the records alone, so that what follows finds it written. Nothing to do where nothing is kept over a restart.</summary>
    private bool TellRecord(Lease lease, long now)
    {
        if (Board is null)
            return false;
        _observers.AddRecord(lease.ToInfo(_clock, now));
        return true;
    }

    private void Tell(DeviceSlot slot)
    {
        if (_observers.HasObservers)
            _observers.Add(slot.ToInfo());
    }

    /// <param name="mostProofs">Of those that have come, so many are taken note of.</param>
    private Transition Enter(int mostProofs = int.MaxValue)
    {
        Lock();
        FinishProven(mostProofs);
        return new Transition(this);
    }

    private void Lock()
    {
        if (_lock.TryEnter())
            return;
        Interlocked.Increment(ref _lockWaiters);
        _lock.Enter();
        Interlocked.Decrement(ref _lockWaiters);
    }

    /// <summary>The lock, and what must not be forgotten after it.</summary>
    private readonly ref struct Transition(LeaseBook book)
    {
        public void Dispose()
        {
            book.ServeWoken();
            long due = book._isSweeping ? Deadline.Never : book._deadlines.EarliestDue;
            bool isBurst = book._isBurst;
            book._isBurst = false;
            book._lock.Exit();
            book._sweeper.Arm(due);
            if (isBurst)
                book._observers.DrainSoon();
            else
                book._observers.Drain();
        }
    }
}
