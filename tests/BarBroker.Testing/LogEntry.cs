// SPDX-License-Identifier: Apache-2.0

using Microsoft.Extensions.Logging;

namespace BarBroker.Testing;

public sealed record LogEntry(string Category, LogLevel Level, EventId Event, string Message, Exception? Exception)
{
    public override string ToString() => $"{Level} {Category}[{Event.Id}] {Message}{(Exception is null ? "" : $"\n{Exception}")}";
}
