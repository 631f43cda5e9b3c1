// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Journal;

internal sealed partial class JournalWriter
{
    /// <summary>After so many entries it is looked whether the file has become too large.</summary>
    private const int ForgetAfter = 5000;

    private static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LastRetry = TimeSpan.FromSeconds(8);

    /// <summary>Taken from the queue and not known to be written.</summary>
    private readonly List<JournalEntry> _batch = [];

    private JournalStore? _store;
    private long _runId;
    private ulong _written;
    private bool _wasOpen;
    private bool _hasMoreToForget;
    private int _sinceForget;
    private int _failures;
    private bool _setAsideBefore;
    private long _failedAt;
    private TimeSpan _retryAfter;
    private volatile IReadOnlySet<ulong>? _takenOver;
    private IReadOnlySet<ulong>? _hasEndedAllBut;
    private volatile int _endedEarlier;
    private volatile int _unproven;
    private ulong _lastUnprotected;
    private long _lost;
    private long _toldLost;
    private long _unprotected;
    private long _errors;
    private long _bytes;
    private volatile string _problem = "";
    private volatile bool _isOverdue;

    /// <summary>Told, from any thread, when a crash would lose an entry, and when none any more. Set before the first one.</summary>
    public Action<bool>? Incomplete { get; set; }

    public long Lost => Interlocked.Read(ref _lost);

    /// <summary>How many leases of earlier runs were ended by this one, since it had not taken them over.</summary>
    public int EndedEarlier => _endedEarlier;

    /// <summary>How many of them have no end, since nothing proves that they are over.</summary>
    public int Unproven
    {
        get => _unproven;
        set => _unproven = value;
    }

    public long Unprotected => Interlocked.Read(ref _unprotected);

    public long Errors => Interlocked.Read(ref _errors);

    public V1.JournalStatus Status() => new()
    {
        Path = Path,
        Problem = _isOverdue ? $"its disk has not answered for {Interval.TotalSeconds} s or more" : _problem,
        Bytes = (ulong)Interlocked.Read(ref _bytes),
        Waiting = (ulong)Waiting,
        Lost = (ulong)Lost,
        Unprotected = (ulong)Unprotected,
        Errors = (ulong)Errors,
        Unproven = (ulong)Unproven,
    };

    /// <summary>Entries that are not in the database yet.</summary>
    public int Waiting => _queue.Count + _batch.Count;

    /// <returns>How long to pause before the next; null: until there is something to do.</returns>
    private TimeSpan? Cycle()
    {
        try
        {
            bool tick = _tick;
            _tick = false;
            if (tick)
            {
                LookAfterFiles();
            }

            foreach (var refused in _refusals.Take(all: _stopping))
            {
                Add(refused);
            }

            if (_store is null && !TryOpen())
            {
                RefuseQuestions($"the journal cannot be read now: {_problem}");
                return FailingPause;
            }

            int questions = _questions.Count;
            WriteAll();
            EndEarlier();
            Answer(questions);
            Forget(tick);
            return !_queue.IsEmpty || _hasMoreToForget ? TimeSpan.Zero : _refusals.IsEmpty ? null : Pause;
        }
        catch (Exception exception)
        {
            Failed(exception);
            return _retryAfter > TimeSpan.Zero ? FailingPause : TimeSpan.Zero;
        }
    }

    private void LookAfterFiles()
    {
        _ahead.Check();
        if (_store is not null && _file.IsGone)
        {
            JournalLog.Removed(_log, Path);
            Close();
            Note("removed", "the file was removed or replaced; entries from before are gone with it");
        }
    }

    private void WriteAll()
    {
        do
        {
            while (_batch.Count < BatchSize && _queue.TryDequeue(out var entry))
            {
                _batch.Add(entry);
            }

            if (_batch.Count == 0)
            {
                return;
            }

            if (_file.IsGone)
            {
                LookAfterFiles();
                if (!TryOpen())
                {
                    return;
                }
            }

            ulong last = _batch[^1].Number;
            _store!.Write(_runId, _batch, last);
            _written = last;
            _sinceForget += _batch.Count;
            _batch.Clear();
            _ahead.Written(last);
            Protected(last);
            Succeeded();
        }
        while (!_queue.IsEmpty);
    }

    /// <summary>Expects the lock of the queue.</summary>
    private void NotProtected(JournalEntry entry)
    {
        _lastUnprotected = entry.Number;
        Incomplete?.Invoke(true);
        if (Interlocked.Increment(ref _unprotected) == 1)
        {
            JournalLog.Unprotected(_log, _runtimeDirectory, _ahead.Problem);
        }
    }

    /// <summary>The database has everything up to this number.</summary>
    private void Protected(ulong written)
    {
        if (Volatile.Read(ref _lastUnprotected) == 0)
        {
            return;
        }

        lock (_gate)
        {
            if (_lastUnprotected <= written && Lost == 0)
            {
                _lastUnprotected = 0;
                Incomplete?.Invoke(false);
            }
        }
    }

    /// <summary>Once for each <see cref="TakeOver"/>, after the records of what this run has taken over were written.</summary>
    private void EndEarlier()
    {
        if (_takenOver is not { } takenOver || takenOver == _hasEndedAllBut || _store is null)
        {
            return;
        }

        int ended = _store.EndEarlier(_runId, _run, _run.Wall, _time.GetTimestamp(), takenOver);
        _hasEndedAllBut = takenOver;
        _endedEarlier += ended;
        if (ended > 0)
        {
            JournalLog.EndedEarlier(_log, ended);
        }
    }

    private void Answer(int questions)
    {
        for (; questions > 0 && _store is { } store && _questions.TryDequeue(out var question); questions--)
        {
            try
            {
                question.Ask(store);
            }
            catch (Exception exception)
            {
                question.Refuse($"the journal cannot be read: {JournalFaults.Text(exception)}");
                if (JournalFaults.IsOfTheFile(exception))
                {
                    throw;
                }
            }
        }
    }

    private void RefuseQuestions(string problem)
    {
        while (_questions.TryDequeue(out var question))
        {
            question.Refuse(problem);
        }
    }

    private void Forget(bool tick)
    {
        if (_store is null || !(tick || _hasMoreToForget || _sinceForget > ForgetAfter))
        {
            return;
        }

        _sinceForget = 0;
        long oldest = _time.GetTimestamp() - new LeaseClock(_time).Units(_options.MaxAge);
        _hasMoreToForget = _store.Forget(_runId, oldest, _options.MaxBytes);
        Interlocked.Exchange(ref _bytes, (long)_store.UsedBytes);
    }

    private void Succeeded()
    {
        if (_failures > 0)
        {
            JournalLog.Recovered(_log, Path, Lost);
        }

        _failures = 0;
        _setAsideBefore = false;
        _problem = "";
        if (Lost - _toldLost is > 0 and var lost)
        {
            _toldLost += lost;
            Note("lost", "more came than could wait while the journal was not written", lost);
        }
    }

    private void Failed(Exception exception)
    {
        Interlocked.Increment(ref _errors);
        string text = JournalFaults.Text(exception);
        Close();
        TellEarlier(exception, text);
        if (JournalFaults.IsDamage(exception, again: _failures > 0) && !_setAsideBefore && TrySetAside(text))
        {
            _setAsideBefore = true;
            _retryAfter = TimeSpan.Zero;
            return;
        }

        if (++_failures == 1)
        {
            JournalLog.Failing(_log, Path, text);
        }

        _problem = text;
        _failedAt = _time.GetTimestamp();
        _retryAfter = TimeSpan.FromTicks(Math.Min(FirstRetry.Ticks << Math.Min(_failures - 1, 10), LastRetry.Ticks));
    }

    /// <summary>On the timer's thread: the journal's own has not come back from what it does, and what waits for it is not to wait for ever.</summary>
    private void Overdue()
    {
        Interlocked.Increment(ref _errors);
        if (!_isOverdue)
        {
            _isOverdue = true;
            JournalLog.Overdue(_log, Path, Interval.TotalSeconds);
        }

        RefuseQuestions("the journal cannot be read now: its disk does not answer");
    }

    private void CameBack()
    {
        if (_isOverdue)
        {
            _isOverdue = false;
            JournalLog.CameBack(_log, Path);
        }
    }

    private bool TrySetAside(string error)
    {
        try
        {
            if (_file.SetAside() is { } aside)
            {
                JournalLog.SetAside(_log, Path, aside, error);
                Note("set aside", $"{error}; it is {aside} now");
            }

            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private void Note(string action, string detail, long count = 0) =>
        Add(new V1.HistoryEvent { Kind = V1.HistoryKind.Journal, Action = action, Detail = detail, Count = (uint)Math.Min(count, uint.MaxValue) });
}
