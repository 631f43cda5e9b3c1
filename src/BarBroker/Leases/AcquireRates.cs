// SPDX-License-Identifier: Apache-2.0

using BarBroker.Policy;

namespace BarBroker.Leases;

/// <summary>
/// How fast each uid may acquire. For each there is one time stamp: when, at the rate that it is allowed, what it has acquired so far would have been due (the
/// generic cell rate algorithm, which is a token bucket without a timer). Its lock is a leaf.
/// </summary>
internal sealed class AcquireRates(LeaseClock clock)
{
    /// <summary>From here on, stamps that say nothing any more are looked for.</summary>
    private const int CleanAt = 1024;

    private readonly Lock _lock = new();
    private readonly Dictionary<(uint Uid, string Rule), long> _due = [];
    private int _cleanAt = CleanAt;

    /// <exception cref="LeaseException">Rate: too many in too short a time.</exception>
    public void Take(uint uid, LeaseTerms terms)
    {
        if (terms.Rate is not { } rate)
            return;
        long interval = Math.Max(1, clock.Units(TimeSpan.FromSeconds(1)) / rate.PerSecond);
        long wait;
        lock (_lock)
        {
            long now = clock.Now;
            long due = Math.Max(now, _due.GetValueOrDefault((uid, terms.RuleName), now));
            wait = due + interval - now - (interval * rate.Burst);
            if (wait <= 0)
            {
                _due[(uid, terms.RuleName)] = due + interval;
                Clean(now);
                return;
            }
        }

        throw new LeaseException(
            LeaseError.Rate,
            $"policy rule {terms.RuleName}: uid {uid} may acquire {rate.PerSecond} times a second, {rate.Burst} at once; try again in {Math.Ceiling(clock.Span(wait).TotalMilliseconds)} ms");
    }

    private void Clean(long now)
    {
        if (_due.Count < _cleanAt)
            return;
        foreach (var (key, due) in _due)
        {
            // Removing while enumerating is allowed (Dictionary<,>.Remove).
            if (due <= now)
                _due.Remove(key);
        }

        _cleanAt = Math.Max(CleanAt, _due.Count * 2);
    }
}
