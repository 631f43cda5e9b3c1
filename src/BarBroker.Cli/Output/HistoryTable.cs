// SPDX-License-Identifier: Apache-2.0

using Spectre.Console;

namespace BarBroker.Cli.Output;

/// <summary>What people see of the journal.</summary>
internal static class HistoryTable
{
    public static void Write(IAnsiConsole screen, IReadOnlyCollection<HistoryDocument> entries, bool wide)
    {
        if (entries.Count == 0)
        {
            screen.WriteLine("Nothing is remembered of that.");
            return;
        }

        string[] more = wide ? ["PID", "COMMAND", "EPOCH", "RULE", "SEQUENCE"] : [];
        var table = Screen.Table(["TIME", "KIND", "LEASE", "DEVICE", "UID", .. more, "WHAT"]);
        foreach (var entry in entries)
        {
            table.AddRow(
            [
                Screen.Cell(entry.LocalTime),
                Screen.Cell(entry.Kind),
                Screen.Cell(entry.LeaseId ?? "-"),
                Screen.Cell(entry.Device ?? "-"),
                Screen.Cell((entry.Actor ?? entry.Owner) is { } who ? $"{who.Uid}" : "-"),
                .. wide ? More(entry) : [],
                Screen.Cell(What(entry)),
            ]);
        }

        screen.Write(table);
    }

    private static Text[] More(HistoryDocument entry) =>
    [
        Screen.Cell((entry.Actor ?? entry.Owner) is { } who ? $"{who.Pid}" : "-"),
        Screen.Cell((entry.Actor ?? entry.Owner)?.Comm ?? "-"),
        Screen.Cell(entry.Epoch is { } epoch ? $"{epoch}" : "-"),
        Screen.Cell(entry.PolicyRule ?? "-"),
        Screen.Cell($"{entry.Sequence}"),
    ];

    private static string What(HistoryDocument entry)
    {
        // A device's detail may begin with its state.
        string? action = entry.Action is { } word && entry.Detail.StartsWith(word, StringComparison.Ordinal) ? null : entry.Action;
        string what = string.Join(": ", new[] { action, entry.Reason, entry.Detail }.Where(part => !string.IsNullOrEmpty(part)));
        return entry.Count > 0 ? $"{what} ({entry.Count})" : what;
    }
}
