// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using BarBroker.Linux.Events;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace BarBroker.Hosting;

/// <summary>
/// Log lines on their way to stderr or the journal. Whoever logs leaves a line here and goes on: it neither waits for those nor, as long as others have logged just before, wakes the
/// thread that writes. That thread writes at once what comes after a silence, and then what has come, every <see cref="Pause"/>.
/// </summary>
internal sealed class LogQueue : ILoggerProvider
{
    /// <summary>An output that nobody reads must not take the memory; how many lines were lost is told.</summary>
    private const int MaxLines = 16 * 1024;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    private readonly ConcurrentQueue<LogItem> _lines = new();
    private readonly EventFd _wake = new(blocking: true);
    private readonly LogOutput _output;
    private readonly Thread _thread;
    private int _idle;
    private long _lost;
    private volatile bool _stopping;

    /// <param name="output">Written to by one thread at a time, and not closed.</param>
    public LogQueue(ConsoleFormatter formatter, Stream output) : this(new ConsoleOutput(formatter, output))
    {
    }

    /// <param name="output">Owned by this.</param>
    public LogQueue(LogOutput output)
    {
        _output = output;
        _thread = new Thread(Run, maxStackSize: 256 * 1024) { Name = "log", IsBackground = true };
        _thread.Start();
    }

    public ILogger CreateLogger(string categoryName) => new Category(this, categoryName);

    /// <summary>Writes what is still queued. What comes later is lost.</summary>
    public void Dispose()
    {
        if (_stopping)
        {
            return;
        }

        _stopping = true;
        _wake.Signal();
        _thread.Join();
        (_output as IDisposable)?.Dispose();
    }

    private void Add(LogItem line)
    {
        if (_lines.Count >= MaxLines)
        {
            Interlocked.Increment(ref _lost);
            return;
        }

        _lines.Enqueue(line);
        // A full fence, so that either this sees the thread idle or the thread sees the line.
        if (Interlocked.Exchange(ref _idle, 0) == 1)
        {
            _wake.Signal();
        }
    }

    private void Run()
    {
        var items = new List<LogItem>();
        while (true)
        {
            while (Write(items) && !_stopping)
            {
                Thread.Sleep(Pause);
            }

            if (_stopping)
            {
                Write(items);
                return;
            }

            Interlocked.Exchange(ref _idle, 1);
            if (_lines.IsEmpty || Interlocked.Exchange(ref _idle, 0) == 0)
            {
                _wake.Wait();
            }
        }
    }

    /// <returns>Whether there was anything.</returns>
    private bool Write(List<LogItem> items)
    {
        items.Clear();
        if (Interlocked.Exchange(ref _lost, 0) is > 0 and var lost)
        {
            items.Add(_output.Lost(lost));
        }

        for (int i = 0; i < MaxLines && _lines.TryDequeue(out var line); i++)
        {
            items.Add(line);
        }

        if (items.Count == 0)
        {
            return false;
        }

        _output.Write(items);
        return true;
    }

    private sealed class Category(LogQueue queue, string name) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (queue._output.Format(new LogEntry<TState>(logLevel, name, eventId, state, exception, formatter)) is { } item)
            {
                queue.Add(item);
            }
        }
    }
}
