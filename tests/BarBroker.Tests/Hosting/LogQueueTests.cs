// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using System.Text;
using BarBroker.Hosting;
using BarBroker.Testing;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace BarBroker.Tests.Hosting;

public sealed class LogQueueTests : IDisposable
{
    private readonly GatedStream _output = new();

    public void Dispose() => _output.Dispose();

    [Fact]
    public async Task Log_AfterSilence_IsWrittenWithoutAnythingElseHappening()
    {
        using var queue = new LogQueue(new Plain(), _output);
        var log = queue.CreateLogger("test");
        Log(log, "one");
        await Wait.Until(() => _output.Text == "one\n", "the first line");
        Log(log, "two");
        await Wait.Until(() => _output.Text == "one\ntwo\n", "the second line");
    }

    [Fact]
    public async Task Dispose_WithLinesOfManyThreads_WritesThemAllInTheOrderOfEach()
    {
        const int Threads = 4;
        const int Lines = 1000;
        var queue = new LogQueue(new Plain(), _output);
        var log = queue.CreateLogger("test");
        await Task.WhenAll(Enumerable.Range(0, Threads).Select(thread => Task.Run(() =>
        {
            for (int i = 0; i < Lines; i++)
            {
                Log(log, $"{thread} {i}");
            }
        })));

        queue.Dispose();

        var written = _output.Text.Split('\n', StringSplitOptions.RemoveEmptyEntries).ToLookup(static line => line[0], static line => int.Parse(line.AsSpan(2), CultureInfo.InvariantCulture));
        Assert.Equal(Threads, written.Count);
        Assert.All(written, static lines => Assert.Equal(Enumerable.Range(0, Lines), lines));
    }

    [Fact]
    public async Task Log_WhileNobodyReadsStderr_NeitherWaitsNorKeepsEverythingAndTellsWhatIsLost()
    {
        const int Kept = 16 * 1024;
        var queue = new LogQueue(new Plain(), _output);
        var log = queue.CreateLogger("test");
        _output.Shut();
        Log(log, "stuck");
        await Wait.Until(() => _output.IsWaiting, "the first line to be stuck");

        for (int i = 0; i < Kept + 5; i++)
        {
            Log(log, "line");
        }

        _output.Open();
        queue.Dispose();
        string[] lines = _output.Text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal("barbrokerd: 5 log lines are lost, because stderr did not take them in time", Assert.Single(lines, static line => line.Contains("lost", StringComparison.Ordinal)));
        Assert.Equal(1 + Kept + 1, lines.Length);
    }

#pragma warning disable CA1848, CA2254 // A test's own lines.
    private static void Log(ILogger log, string line) => log.LogInformation(line);
#pragma warning restore CA1848, CA2254

    private sealed class Plain() : ConsoleFormatter("plain")
    {
        public override void Write<TState>(in LogEntry<TState> logEntry, IExternalScopeProvider? scopeProvider, TextWriter textWriter) =>
            textWriter.Write(logEntry.Formatter(logEntry.State, logEntry.Exception) + "\n");
    }

    /// <summary>Keeps what is written; while it is shut, whoever writes waits.</summary>
    private sealed class GatedStream : MemoryStream
    {
        private readonly ManualResetEventSlim _gate = new(initialState: true);
        private readonly Lock _lock = new();

        public bool IsWaiting { get; private set; }

        public string Text
        {
            get
            {
                lock (_lock)
                {
                    return Encoding.UTF8.GetString(ToArray());
                }
            }
        }

        public void Shut() => _gate.Reset();

        public void Open() => _gate.Set();

        // The span's overload of a class that derives from MemoryStream calls this one.
        public override void Write(byte[] buffer, int offset, int count)
        {
            IsWaiting = !_gate.IsSet;
            _gate.Wait();
            lock (_lock)
            {
                base.Write(buffer, offset, count);
            }
        }
    }
}
