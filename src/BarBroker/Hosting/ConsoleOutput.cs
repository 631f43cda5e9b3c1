// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace BarBroker.Hosting;

/// <summary>Lines of text, as a formatter of the console makes them.</summary>
/// <param name="output">Not closed.</param>
internal sealed class ConsoleOutput(ConsoleFormatter formatter, Stream output) : LogOutput
{
    [ThreadStatic]
    private static StringWriter? _writer;

    public override LogItem? Format<TState>(in LogEntry<TState> entry)
    {
        var writer = _writer ??= new StringWriter(CultureInfo.InvariantCulture);
        formatter.Write(entry, scopeProvider: null, writer);
        var text = writer.GetStringBuilder();
        if (text.Length == 0)
        {
            return null;
        }

        var item = new LogItem(Encoding.UTF8.GetBytes(text.ToString()));
        text.Clear();
        return item;
    }

    public override void Write(IReadOnlyList<LogItem> items)
    {
        // One system call for all.
        byte[] bytes = new byte[items.Sum(static item => item.Bytes.Length)];
        int at = 0;
        foreach (var item in items)
        {
            item.Bytes.CopyTo(bytes.AsMemory(at));
            at += item.Bytes.Length;
        }

        try
        {
            output.Write(bytes);
        }
        catch (IOException)
        {
            // There is nobody left to be told.
        }
    }

    public override LogItem Lost(long count) => new(Encoding.UTF8.GetBytes($"barbrokerd: {LostText(count, "stderr")}\n"));
}
