// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace BarBroker.Testing;

/// <summary>Keeps every log entry. An Error that no test expected fails the test.</summary>
public sealed class LogCapture : ILoggerFactory, ILoggerProvider
{
    private readonly ConcurrentQueue<LogEntry> _entries = new();
    private readonly ConcurrentDictionary<int, bool> _expected = new();

    public IReadOnlyCollection<LogEntry> Entries => _entries;

    public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName);

    public ILogger<T> CreateLogger<T>() => new Logger<T>(this);

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException("a log capture has no other providers");

    /// <summary>Errors of this event are what the test is about.</summary>
    public void Expect(int eventId) => _expected[eventId] = true;

    public bool Contains(int eventId) => _entries.Any(entry => entry.Event.Id == eventId);

    public Task WaitFor(int eventId) => Wait.Until(() => Contains(eventId), $"log event {eventId}; logged were:\n{string.Join('\n', _entries)}");

    /// <exception cref="InvalidOperationException">There was an unexpected Error.</exception>
    public void ThrowOnUnexpectedErrors()
    {
        var errors = _entries.Where(entry => entry.Level >= LogLevel.Error && !_expected.ContainsKey(entry.Event.Id)).ToList();
        if (errors.Count > 0)
        {
            throw new InvalidOperationException($"unexpected errors in the log:\n{string.Join('\n', errors)}");
        }
    }

    public void Dispose()
    {
    }

    private sealed class Logger(LogCapture capture, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            capture._entries.Enqueue(new LogEntry(category, logLevel, eventId, formatter(state, exception), exception));
    }
}
