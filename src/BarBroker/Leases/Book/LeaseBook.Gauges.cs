// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;

namespace BarBroker.Leases;

/// <content>What is measured when somebody scrapes: the worst of what there is now.</content>
internal sealed partial class LeaseBook
{
    /// <summary>How long ago the end of the oldest stuck lease was decided; zero without one.</summary>
    public TimeSpan OldestStuck()
    {
        lock (_lock)
        {
            if (_countByState[(int)LeaseState.Stuck] == 0)
                return TimeSpan.Zero;
            long oldest = _slots.SelectMany(static s => s.Leases).Where(static l => l.State == LeaseState.Stuck).Min(static l => l.EndingAt);
            return _clock.Span(_clock.Now - oldest);
        }
    }

    /// <summary>Since the last heartbeat of the lease that has been silent for longest; zero without leases. Leases that nobody has fetched yet have no heart.</summary>
    public TimeSpan OldestHeartbeat()
    {
        lock (_lock)
        {
            long now = _clock.Now;
            return _clock.Span(Beating().Select(l => now - HeartbeatAt(l)).DefaultIfEmpty().Max());
        }
    }

    /// <summary>The largest part of its TTL that a lease has gone without a heartbeat; 1 is when it expires, and more is possible where the broker was stalled.</summary>
    public double LargestTtlUsed()
    {
        lock (_lock)
        {
            long now = _clock.Now;
            return Beating().Select(l => (now - HeartbeatAt(l)) / (double)l.TtlUnits).DefaultIfEmpty().Max();
        }
    }

    /// <summary>For every device how long the first of its waiters to come has waited; zero where none waits.</summary>
    public ImmutableArray<(string Device, TimeSpan Waited)> OldestWaiters()
    {
        lock (_lock)
        {
            long now = _clock.Now;
            return [.. _slots.Select(s => (s.Name, _clock.Span(Enumerable.Range(0, s.Waiters.Count).Select(i => now - s.Waiters[i].Since).DefaultIfEmpty().Max())))];
        }
    }

    private static long HeartbeatAt(Lease lease) => lease.TtlDeadline - lease.TtlUnits;

    private IEnumerable<Lease> Beating() => _slots.SelectMany(static s => s.Leases).Where(static l => l is { IsLive: true, Fetched: true, Phase: ExportPhase.Done });
}
