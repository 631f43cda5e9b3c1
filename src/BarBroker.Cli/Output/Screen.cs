// SPDX-License-Identifier: Apache-2.0

using Spectre.Console;

namespace BarBroker.Cli.Output;

/// <summary>Tables on stdout: in colour on a terminal unless <c>NO_COLOR</c> is set, and never cut where nobody sees the width.</summary>
internal static class Screen
{
    private const int UnlimitedWidth = 10_000;

    /// <summary>Somebody looks at a terminal that can be painted on.</summary>
    public static bool IsTerminal => !Console.IsOutputRedirected && Environment.GetEnvironmentVariable("TERM") is not (null or "" or "dumb");

    /// <summary>Somebody looks at a terminal, and has nothing against what moves and has colours there.</summary>
    public static bool IsLive => !Console.IsOutputRedirected && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));

    public static IAnsiConsole Create() => Create(Console.Out, Console.IsOutputRedirected ? UnlimitedWidth : null);

    /// <param name="width">Null: as the terminal says.</param>
    public static IAnsiConsole Create(TextWriter output, int? width)
    {
        bool plain = !IsLive;
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = plain ? AnsiSupport.No : output == Console.Out ? AnsiSupport.Detect : AnsiSupport.Yes,
            ColorSystem = plain ? ColorSystemSupport.NoColors : ColorSystemSupport.Detect,
            // Nobody is asked anything by it; it is what lets progress move.
            Interactive = plain ? InteractionSupport.No : InteractionSupport.Yes,
            Out = new AnsiConsoleOutput(plain ? new TrimmingWriter(output) : output),
        });
        if (width is { } columns)
        {
            console.Profile.Width = columns;
        }

        return console;
    }

    /// <summary>A table without lines, which other tools can read, too.</summary>
    public static Table Table(params ReadOnlySpan<string> columns)
    {
        var table = new Table().NoBorder();
        foreach (string column in columns)
        {
            table.AddColumn(new TableColumn(new Text(column, new Style(decoration: Decoration.Bold))).PadLeft(0).PadRight(2));
        }

        return table;
    }

    public static Text Cell(string text) => new(Words.Printable(text));

    /// <summary>Good, bad or on the way: only a colour, the words, by default the state itself, say it.</summary>
    public static Text State(string state, string? words = null) => new(words ?? state, state switch
    {
        "active" or "ready" => new Style(Color.Green),
        "granted" or "recalled" or "revoking" or "cordoned" or "leaving" => new Style(Color.Yellow),
        "stuck" or "unavailable" => new Style(Color.Red, decoration: Decoration.Bold),
        _ => Style.Plain,
    });
}
