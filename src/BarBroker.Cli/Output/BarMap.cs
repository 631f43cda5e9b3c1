// SPDX-License-Identifier: Apache-2.0

using Spectre.Console;

namespace BarBroker.Cli.Output;

/// <summary>
/// BARs as rows of cells, each a run of bytes: <c>.</c> free, a capital letter for the lease that holds bytes of it, its small letter when that is recalled,
/// <c>+</c> several leases, <c>!</c> quarantined. From the 27th lease of a BAR on all have <c>#</c>.
/// </summary>
internal static class BarMap
{
    private const string Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    public static void Write(IAnsiConsole screen, IReadOnlyCollection<MapDocument> devices)
    {
        foreach (var device in devices)
        {
            screen.WriteLine(Words.Printable($"{device.Name}: {device.State}, {Words.Leases(device.Leases)}"));
            foreach (var bar in device.Bars.Where(static bar => bar.Size > 0))
            {
                Write(screen, bar);
            }

            screen.WriteLine();
        }

        screen.WriteLine(devices.Count == 0 ? "No devices." : ". free  A leased  a recalled  + several leases  ! quarantined");
    }

    /// <summary>The row, without colour.</summary>
    public static string Cells(ulong size, IReadOnlyList<MapSegmentDocument> segments)
    {
        var marks = Marks(segments);
        return BarPicture.Cells(size, segments.Where(static segment => segment.Use != "free").Select(segment => (segment.Offset, segment.Length, marks[segment])));
    }

    private static void Write(IAnsiConsole screen, MapBarDocument bar)
    {
        string[] parts =
        [
            $"{Words.Bytes(bar.Free)} free",
            .. Part(bar.Leased, "leased"),
            .. Part(bar.Recalled, "recalled"),
            .. Part(bar.Quarantined, "quarantined"),
        ];
        screen.WriteLine($"BAR {bar.Index}, {Words.Bytes(bar.Size)}: {string.Join(", ", parts)}");
        BarPicture.WriteCells(screen, bar.Picture);
        var marks = Marks(bar.Segments);
        var table = Screen.Table("", "", "", "", "").HideHeaders();
        foreach (var segment in bar.Segments.Where(static segment => segment.Use != "free"))
        {
            table.AddRow(
                new Text($"{marks[segment]}", BarPicture.StyleOf(marks[segment])),
                Screen.Cell(Words.Range(segment.Offset, segment.Length)),
                Screen.State(segment.Use == "quarantined" ? "stuck" : segment.Use, segment.Use),
                Screen.Cell(string.Join(' ', segment.Leases.Select(static holder => holder.Id))),
                Screen.Cell(string.Join(", ", segment.Leases.Select(Who).Where(static who => who.Length > 0))));
        }

        if (table.Rows.Count > 0)
        {
            screen.Write(table);
        }
    }

    private static string[] Part(ulong bytes, string use) => bytes > 0 ? [$"{Words.Bytes(bytes)} {use}"] : [];

    private static string Who(MapHolderDocument holder) => holder.Owner is { } owner ? $"{owner.Comm} (uid {owner.Uid}, pid {owner.Pid})" : "";

    private static Dictionary<MapSegmentDocument, char> Marks(IReadOnlyList<MapSegmentDocument> segments)
    {
        var letters = BarPicture.AssignLetters(segments.SelectMany(static segment => segment.Leases).Select(static holder => holder.Id), Letters);
        var marks = new Dictionary<MapSegmentDocument, char>();
        foreach (var segment in segments)
        {
            marks[segment] = segment switch
            {
                { Use: "quarantined" } => '!',
                { Leases: [var only], Use: "recalled" } => char.ToLowerInvariant(letters[only.Id]),
                { Leases: [var only] } => letters[only.Id],
                { Leases.Count: > 1 } => '+',
                _ => '.',
            };
        }

        return marks;
    }
}
