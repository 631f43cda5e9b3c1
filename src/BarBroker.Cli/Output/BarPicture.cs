// SPDX-License-Identifier: Apache-2.0

using Spectre.Console;

namespace BarBroker.Cli.Output;

/// <summary>A BAR as a row of cells, each a run of bytes: a letter for the lease that holds bytes of it, <c>.</c> free, <c>!</c> quarantined, <c>+</c> several leases.</summary>
internal static class BarPicture
{
    private const int MaxCells = 64;
    private const string Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    private static readonly Color[] _colors = [Color.Blue, Color.Green, Color.Aqua, Color.Fuchsia, Color.Olive, Color.Teal];

    public static void Write(IAnsiConsole screen, BarDocument bar, IReadOnlyList<SegmentDocument>? segments)
    {
        screen.WriteLine();
        string quarantined = bar.Quarantined > 0 ? $", {Words.Bytes(bar.Quarantined)} quarantined" : "";
        screen.WriteLine($"BAR {bar.Index}: {Words.Bytes(bar.Size)}, {Words.Bytes(bar.Free)} free (largest hole {Words.Bytes(bar.LargestFree)}), {Words.Bytes(bar.Leased)} leased{quarantined}");
        string[] more =
        [
            .. bar.Pooled > 0 ? [$"{Words.Bytes(bar.Pooled)} in pools"] : Array.Empty<string>(),
            .. bar.Fragmentation > 0 ? [$"free space{(bar.Pooled > 0 ? " outside of them" : "")} fragmented: {PoolTables.Percent(bar.Fragmentation)}"] : Array.Empty<string>(),
        ];
        if (more.Length > 0)
        {
            screen.WriteLine($"       {string.Join("; ", more)}");
        }

        if (segments is null || bar.Size == 0)
        {
            return;
        }

        var letters = AssignLetters(segments);
        WriteCells(screen, Cells(bar.Size, segments, letters));
        WriteLegend(screen, segments, letters);
    }

    /// <summary>The row, without colour.</summary>
    internal static string Cells(ulong size, IReadOnlyList<SegmentDocument> segments, Dictionary<string, char> letters) =>
        Cells(size, segments.Where(static segment => segment.Use != "free").Select(segment => (segment.Offset, segment.Length, MarkOf(segment, letters))));

    /// <summary>The row of what is not free, each with its mark.</summary>
    internal static string Cells(ulong size, IEnumerable<(ulong Offset, ulong Length, char Mark)> used)
    {
        var cells = new char[(int)Math.Min(MaxCells, Math.Max(1, size / 4096))];
        Array.Fill(cells, '.');
        foreach (var (offset, length, mark) in used.Where(static run => run.Length > 0))
        {
            int first = CellOf(offset, size, cells.Length);
            int last = CellOf(offset + length - 1, size, cells.Length);
            for (int i = first; i <= last; i++)
            {
                cells[i] = cells[i] == '.' || mark == '!' || cells[i] == mark ? mark : cells[i] == '!' ? '!' : '+';
            }
        }

        return new string(cells);
    }

    internal static void WriteCells(IAnsiConsole screen, string cells)
    {
        foreach (char cell in cells)
        {
            screen.Write(new Text($"{cell}", StyleOf(cell)));
        }

        screen.WriteLine();
    }

    internal static Dictionary<string, char> AssignLetters(IReadOnlyList<SegmentDocument> segments) => AssignLetters(segments.SelectMany(static segment => segment.LeaseIds), Letters);

    /// <summary>To each lease the next letter. Past the last one all have <c>#</c>; the list below the picture still tells them apart.</summary>
    internal static Dictionary<string, char> AssignLetters(IEnumerable<string> leases, string letters)
    {
        var assigned = new Dictionary<string, char>(StringComparer.Ordinal);
        foreach (string id in leases)
        {
            assigned.TryAdd(id, assigned.Count < letters.Length ? letters[assigned.Count] : '#');
        }

        return assigned;
    }

    private static int CellOf(ulong offset, ulong size, int cells) => (int)UInt128.Min((UInt128)(uint)(cells - 1), (UInt128)offset * (uint)cells / size);

    private static void WriteLegend(IAnsiConsole screen, IReadOnlyList<SegmentDocument> segments, Dictionary<string, char> letters)
    {
        var table = Screen.Table("", "", "", "").HideHeaders();
        foreach (var segment in segments.Where(segment => segment.Use != "free"))
        {
            char mark = MarkOf(segment, letters);
            table.AddRow(
                new Text($"{mark}", StyleOf(mark)),
                Screen.Cell(Words.Range(segment.Offset, segment.Length)),
                Screen.Cell(segment.Use),
                Screen.Cell(segment.Pool.Length > 0 ? $"{string.Join(' ', segment.LeaseIds)} ({segment.Pool})" : string.Join(' ', segment.LeaseIds)));
        }

        if (table.Rows.Count > 0)
        {
            screen.Write(table);
        }
    }

    private static char MarkOf(SegmentDocument segment, Dictionary<string, char> letters) =>
        segment.Use == "quarantined" ? '!' : segment.LeaseIds.Count == 1 ? letters[segment.LeaseIds[0]] : '+';

    internal static Style StyleOf(char cell) => cell switch
    {
        '.' => new Style(Color.Grey),
        '!' => new Style(Color.White, Color.Red),
        '+' or '#' => new Style(Color.Black, Color.Silver),
        _ => new Style(Color.Black, _colors[Letters.IndexOf(cell, StringComparison.Ordinal) % _colors.Length]),
    };
}
