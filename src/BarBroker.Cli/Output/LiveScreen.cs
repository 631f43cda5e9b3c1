// SPDX-License-Identifier: Apache-2.0

using System.Text;

namespace BarBroker.Cli.Output;

/// <summary>A terminal's other screen, painted again and again; when it is disposed of, what was there before is back.</summary>
internal sealed class LiveScreen : IDisposable
{
    private const string Enter = "\e[?1049h\e[?25l";
    private const string Leave = "\e[?25h\e[?1049l";
    private const string Home = "\e[H";
    private const string ClearToEndOfLine = "\e[K";
    private const string ClearBelow = "\e[J";

    private readonly TextWriter _terminal = Console.Out;

    public LiveScreen() => _terminal.Write(Enter);

    /// <summary>Columns; some terminals do not know.</summary>
    public static int Width => Console.WindowWidth is > 0 and var width ? width : 80;

    private static int Height => Console.WindowHeight is > 2 and var height ? height : 24;

    /// <summary>Shows as much of it as there is room for.</summary>
    public void Paint(string text)
    {
        int height = Height;
        string[] lines = text.TrimEnd('\n').Split('\n');
        var frame = new StringBuilder(Home);
        bool fits = lines.Length < height;
        foreach (string line in lines.Take(fits ? lines.Length : height - 2))
        {
            frame.Append(line.TrimEnd('\r')).Append(ClearToEndOfLine).Append('\n');
        }

        if (!fits)
        {
            frame.Append($"({lines.Length - height + 2} more lines){ClearToEndOfLine}\n");
        }

        _terminal.Write(frame.Append(ClearBelow).ToString());
        _terminal.Flush();
    }

    public void Dispose() => _terminal.Write(Leave);
}
