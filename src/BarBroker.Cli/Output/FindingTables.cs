// SPDX-License-Identifier: Apache-2.0

using BarBroker.Cli.Diagnosis;
using Spectre.Console;

namespace BarBroker.Cli.Output;

/// <summary>What the doctor found: a line each, and below it what to do.</summary>
internal static class FindingTables
{
    private const int Width = 80;
    private const int Indent = 20;

    public static void Write(IAnsiConsole screen, IReadOnlyCollection<Finding> findings)
    {
        foreach (var finding in findings)
        {
            screen.Write(new Text($"{finding.Result,-5}", Style(finding.Result)));
            WriteWrapped(screen, $"{finding.Check,-14} {finding.Message}", Indent);
            if (finding.Remedy is { } remedy)
            {
                WriteWrapped(screen, $"{"",Indent}-> {remedy}", Indent + 3, isContinued: false);
            }
        }

        int Count(string result) => findings.Count(finding => finding.Result == result);
        screen.WriteLine($"{Count("ok")} ok, {Count("warn")} to think about, {Count("fail")} to mend");
    }

    private static Style Style(string result) => result switch
    {
        "ok" => new Style(Color.Green),
        "warn" => new Style(Color.Yellow),
        _ => new Style(Color.Red, decoration: Decoration.Bold),
    };

    /// <summary>Breaks between words; what is longer than a line stays whole, so that it can be copied.</summary>
    private static void WriteWrapped(IAnsiConsole screen, string text, int indent, bool isContinued = true)
    {
        int used = isContinued ? 5 : 0;
        string line = "";
        foreach (string word in Words.Printable(text).Split(' '))
        {
            if (line.TrimStart().Length > 0 && used + line.Length + word.Length > Width)
            {
                screen.WriteLine(line.TrimEnd());
                (line, used) = (new string(' ', indent), 0);
            }

            line += word + " ";
        }

        screen.WriteLine(line.TrimEnd());
    }
}
