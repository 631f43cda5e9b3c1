// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>
/// The one timer. It is armed for the earliest deadline, but never further ahead than <see cref="Longest"/>: timers stop while the machine sleeps and
/// timestamps do not, so a suspend delays an expiry by that much at most.
/// </summary>
internal sealed class Sweeper : IDisposable
{
    public static readonly TimeSpan Longest = TimeSpan.FromSeconds(1);

    /// <summary>A sweep that is later than this against its own schedule means that the broker was stalled, or the machine asleep.</summary>
    public static readonly TimeSpan StallThreshold = TimeSpan.FromSeconds(1);

    private readonly LeaseClock _clock;
    private readonly Action<bool> _sweep;
    private readonly ITimer _timer;
    private readonly long _longest;
    private readonly long _stallThreshold;

    // Taken after the lease book's lock was left, never before: a timer of a test may fire inside of Change.
    private readonly Lock _gate = new();
    private long _armedFor = Deadline.Never;
    private volatile bool _isAsked;

    /// <param name="sweep">Is told whether the broker was stalled; calls <see cref="Arm"/>.</param>
    public Sweeper(LeaseClock clock, Action<bool> sweep)
    {
        _clock = clock;
        _sweep = sweep;
        _longest = clock.Units(Longest);
        _stallThreshold = clock.Units(StallThreshold);
        _timer = clock.Provider.CreateTimer(static s => ((Sweeper)s!).Tick(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Sees to it that a sweep comes when the deadline is due. Nothing to do in most cases, and then cheap.</summary>
    public void Arm(long due)
    {
        if (due >= Volatile.Read(ref _armedFor))
            return;
        lock (_gate)
        {
            long now = _clock.Now;
            long target = Math.Max(now, Math.Min(due, now + _longest));
            if (target >= _armedFor)
                return;
            Volatile.Write(ref _armedFor, target);
            // Rounded up: a timer of 0 ms that fires just before the deadline would only arm itself again.
            double ms = Math.Ceiling(_clock.Span(target - now).TotalMilliseconds);
            _timer.Change(TimeSpan.FromMilliseconds(Math.Max(1, ms)), Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>Whether a sweep has run since the last <see cref="Ask"/>.</summary>
    public bool HasAnswered => !_isAsked;

    /// <summary>Has a sweep come soon, whether anything is due or not.</summary>
    public void Ask()
    {
        _isAsked = true;
        Arm(_clock.Now);
    }

    public void Dispose() => _timer.Dispose();

    private void Tick()
    {
        bool stalled;
        lock (_gate)
        {
            stalled = _armedFor != Deadline.Never && _clock.Now - _armedFor > _stallThreshold;
            Volatile.Write(ref _armedFor, Deadline.Never);
        }

        _sweep(stalled);
        _isAsked = false;
    }
}
