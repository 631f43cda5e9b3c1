// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using Spectre.Console;

namespace BarBroker.Cli.Output;

/// <summary>What people see of pools.</summary>
internal static class PoolTables
{
    public static void Pools(IAnsiConsole screen, IReadOnlyCollection<PoolDocument> pools)
    {
        if (pools.Count == 0)
        {
            screen.WriteLine("No pools.");
            return;
        }

        var table = Screen.Table("POOL", "DEVICE", "SLOTS", "FREE", "QUARANTINED", "BYTES FREE", "LARGEST", "FRAGMENTED");
        foreach (var pool in pools)
        {
            foreach (var usage in pool.Devices)
            {
                bool first = usage == pool.Devices[0];
                bool isServed = usage.Fault.Length == 0;
                ulong free = usage.Windows.Aggregate(0ul, static (sum, window) => sum + window.Free);
                table.AddRow(
                    Screen.Cell(first ? pool.Name : ""),
                    Screen.Cell(usage.Device),
                    Screen.Cell(isServed ? Number(usage.Slots, usage.Slots) : "not served"),
                    Screen.Cell(Number(usage.FreeSlots, usage.Slots)),
                    Screen.Cell(Number(usage.QuarantinedSlots, usage.QuarantinedSlots)),
                    Screen.Cell(usage.Windows.Count > 0 ? Words.Bytes(free) : "-"),
                    Screen.Cell(usage.Windows.Count > 0 ? Words.Bytes(usage.Windows.Max(static window => window.LargestFree)) : "-"),
                    Screen.Cell(usage.Windows.Count > 0 ? Percent(usage.Windows.Max(static window => window.Fragmentation)) : "-"));
            }
        }

        screen.Write(table);
    }

    public static void Pool(IAnsiConsole screen, PoolDocument pool)
    {
        var table = Screen.Table("", "").HideHeaders();
        table.AddRow(Screen.Cell("pool"), Screen.Cell(pool.Name));
        foreach (var buffer in pool.Buffers)
        {
            string what = buffer is { Size: { } size, Stride: { } stride }
                ? $"BAR {buffer.Bar}: slots of {Words.Bytes(size)} from 0x{buffer.Offset:x} on{(stride > size ? $", one every {Words.Bytes(stride)}" : "")}"
                : $"BAR {buffer.Bar}: {(buffer.Length is { } length ? Words.Bytes(length) : "all")} from 0x{buffer.Offset:x} on, in multiples of {Words.Bytes(buffer.Granularity ?? 0)}"
                    + $"{(buffer.Alignment > buffer.Granularity ? $", aligned to {Words.Bytes(buffer.Alignment.Value)}" : "")}{(buffer.AllowSplit == true ? "" : ", never split")}";
            table.AddRow(Screen.Cell("buffer"), Screen.Cell(what));
        }

        table.AddRow(Screen.Cell("scrub"), Screen.Cell(pool.Scrub is { } word ? $"{word}, before each grant" : "none"));
        foreach (var usage in pool.Devices.Where(static usage => usage.Fault.Length > 0))
        {
            table.AddRow(Screen.Cell("not served"), Screen.Cell($"by {usage.Device}: {usage.Fault}"));
        }

        screen.Write(table);
        screen.WriteLine();
        Pools(screen, [pool]);
    }

    public static string Percent(double ratio) => string.Create(CultureInfo.InvariantCulture, $"{ratio * 100:0} %");

    private static string Number(uint number, uint of) => of > 0 ? $"{number}" : "-";
}
