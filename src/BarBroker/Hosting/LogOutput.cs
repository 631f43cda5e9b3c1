// SPDX-License-Identifier: Apache-2.0

using Microsoft.Extensions.Logging.Abstractions;

namespace BarBroker.Hosting;

/// <summary>Where the log goes, and in which form.</summary>
internal abstract class LogOutput
{
    /// <summary>On the thread of whoever logs. Null: this one is not written.</summary>
    public abstract LogItem? Format<TState>(in LogEntry<TState> entry);

    /// <summary>On one thread at a time, which may have to wait. It never throws: there is nobody left to be told.</summary>
    public abstract void Write(IReadOnlyList<LogItem> items);

    /// <summary>An item of the queue's own: so many are missing here.</summary>
    public abstract LogItem Lost(long count);

    protected static string LostText(long count, string reader) => FormattableString.Invariant($"{count} log lines are lost, because {reader} did not take them in time");
}
