// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using BarBroker.Configuration;
using BarBroker.Leases;
using BarBroker.Linux.Events;

namespace BarBroker.Journal;

/// <summary>
/// The thread that has the database. Entries are left in its queue, and kept in the <see cref="AheadLog"/> at once; it writes what has come every <see cref="Pause"/>,
/// in one commit, and answers what is asked of the database. Whatever goes wrong is its own affair: nobody waits for it.
/// </summary>
internal sealed partial class JournalWriter : IDisposable
{
    /// <summary>Entries that wait while the database cannot be written; more are lost, and counted.</summary>
    public const int MaxWaiting = 20_000;

    private const int BatchSize = 2000;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan FailingPause = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(3);

    private const long Idle = long.MinValue;

    private readonly Lock _gate = new();
    private readonly ConcurrentQueue<JournalEntry> _queue = new();
    private readonly ConcurrentQueue<Question> _questions = new();
    private readonly EventFd _wake = new(blocking: true);
    private readonly AutoResetEvent _hurry = new(initialState: false);
    private readonly JournalOptions _options;
    private readonly JournalFile _file;
    private readonly string _runtimeDirectory;
    private readonly TimeProvider _time;
    private readonly RunIdentity _run;
    private readonly AheadLog _ahead;
    private readonly RefusalTally _refusals;
    private readonly Func<IEnumerable<LeaseInfo>> _living;
    private readonly ILogger _log;
    private readonly Thread _thread;
    private readonly ITimer _timer;
    private int _idle;
    private long _busySince = Idle;
    private ulong _last;
    private volatile bool _stopping;
    private volatile bool _tick = true;
    private bool _isStopped;

    /// <param name="living">The leases that have not ended, for a database that begins while there are some.</param>
    public JournalWriter(
        JournalOptions options,
        string stateDirectory,
        string runtimeDirectory,
        TimeProvider time,
        RefusalTally refusals,
        Func<IEnumerable<LeaseInfo>> living,
        ILogger log)
    {
        _options = options;
        _file = new JournalFile(stateDirectory);
        _runtimeDirectory = runtimeDirectory;
        _time = time;
        _run = RunIdentity.Now(time);
        _ahead = new AheadLog(runtimeDirectory, _run, time);
        _refusals = refusals;
        _living = living;
        _log = log;
        _thread = new Thread(Run, maxStackSize: 512 * 1024) { Name = "journal", IsBackground = true };
        _timer = time.CreateTimer(static writer => ((JournalWriter)writer!).Tick(), this, Interval, Interval);
        _thread.Start();
    }

    public string Path => _file.Path;

    /// <summary>Never waits for a disk and never throws. When it returns, a crash of the broker does not take the entry, unless the runtime directory could not keep it.</summary>
    public void Add(V1.HistoryEvent what, V1.Lease? lease = null, LeaseMarks marks = default)
    {
        var entry = new JournalEntry(what, lease, marks, _time.GetUtcNow().ToUnixTimeMilliseconds(), _time.GetTimestamp());
        lock (_gate)
        {
            if (_isStopped || _queue.Count >= MaxWaiting)
            {
                Interlocked.Increment(ref _lost);
                Incomplete?.Invoke(true);
                return;
            }

            entry.Number = ++_last;
            if (!_ahead.TryAppend(entry))
            {
                NotProtected(entry);
            }

            _queue.Enqueue(entry);
        }

        Wake();
    }

    /// <summary>What earlier runs have left, as soon as it is known; never fails, and may be less than there was.</summary>
    public Task<EarlierLeases> Earlier => _earlier.Task;

    /// <summary>This run has these leases of earlier ones, and has told their records, or cannot say yet that they are over; all others end, and none before the first call. Each call counts in the place of the one before.</summary>
    public void TakeOver(IReadOnlySet<ulong> epochs)
    {
        _takenOver = epochs;
        Wake();
    }

    /// <summary>Asks the database, after everything added before was written.</summary>
    /// <exception cref="LeaseException">Unavailable: it cannot be read now.</exception>
    public Task<T> AskAsync<T>(Func<JournalStore, T> question)
    {
        var answer = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        _questions.Enqueue(new Question(store => answer.TrySetResult(question(store)), problem => answer.TrySetException(new LeaseException(LeaseError.Unavailable, problem))));
        _hurry.Set();
        Wake();
        return answer.Task;
    }

    /// <summary>Something to be counted, or forgotten, is to be looked at soon.</summary>
    public void Wake()
    {
        // A full fence, so that either this sees the thread idle or the thread sees the entry.
        if (Interlocked.Exchange(ref _idle, 0) == 1)
        {
            _wake.Signal();
        }
    }

    /// <summary>Writes what waits, if that is possible in a few seconds. What is not written stays in the runtime directory for the next run.</summary>
    public void Dispose()
    {
        if (_stopping)
        {
            return;
        }

        _timer.Dispose();
        _stopping = true;
        _hurry.Set();
        Wake();
        if (_thread.Join(StopPatience))
        {
            _wake.Dispose();
            _hurry.Dispose();
        }
    }

    private void Tick()
    {
        if (Volatile.Read(ref _busySince) is not Idle and var since && _time.GetElapsedTime(since) >= Interval)
        {
            Overdue();
        }

        _tick = true;
        Wake();
    }

    private void Run()
    {
        while (true)
        {
            Volatile.Write(ref _busySince, _time.GetTimestamp());
            var next = Cycle();
            Volatile.Write(ref _busySince, Idle);
            CameBack();
            if (_stopping)
            {
                Finish();
                return;
            }

            if (next > TimeSpan.Zero)
            {
                _hurry.WaitOne(next.Value);
                continue;
            }

            if (next is not null)
            {
                continue;
            }

            Interlocked.Exchange(ref _idle, 1);
            if ((_queue.IsEmpty && _questions.IsEmpty && !_tick && !_stopping) || Interlocked.Exchange(ref _idle, 0) == 0)
            {
                _wake.Wait();
            }

            // What comes together is written together.
            _hurry.WaitOne(Pause);
        }
    }

    private void Finish()
    {
        Cycle();
        lock (_gate)
        {
            _isStopped = true;
        }

        Cycle();
        Close();
        _ahead.Finish(_written);
        RefuseQuestions("the broker is shutting down");
    }

    private readonly record struct Question(Action<JournalStore> Ask, Action<string> Refuse);
}
