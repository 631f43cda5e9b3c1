// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using BarBroker.Bench;
using Spectre.Console;

if (args is ["latency", string runtimeDirectory, string count])
{
    await Latency.RunAsync(runtimeDirectory, int.Parse(count, CultureInfo.InvariantCulture));
    return 0;
}

if (args is not ([string, string, string] or [string, string, string, "--latency-only" or "--trouble-only" or "--expiry-only"]))
{
    Console.Error.WriteLine("usage: BarBroker.Bench BARBROKERD BARE OUTPUT.json [--latency-only|--trouble-only|--expiry-only]");
    return 2;
}

const int Starts = 11;
const int Rounds = 2000;
const int CrowdSize = 10_000;
var (daemon, bare, output) = (args[0], args[1], args[2]);
var figures = new List<Figure>(args is [_, _, _, "--trouble-only" or "--expiry-only"] ? [] : Latency.Measure(daemon, bare, Starts, Rounds));
if (args.Length == 3)
{
    await MeasureSizeAsync();
}

if (args.Length == 3 || args[3] == "--trouble-only")
{
    figures.AddRange(await OtherDevice.MeasureAsync(daemon));
}

if (args.Length == 3 || args[3] is "--trouble-only" or "--expiry-only")
{
    figures.AddRange(await Expiry.MeasureAsync(daemon, bare, CrowdSize));
}

if (Console.IsOutputRedirected)
{
    // Wide enough for the longest name: nobody's terminal is to be considered.
    AnsiConsole.Profile.Width = 120;
}

var table = new Table().Border(TableBorder.Simple).AddColumns("figure", "unit").AddColumn("value", c => c.RightAligned()).AddColumn("bare", c => c.RightAligned()).AddColumn("ratio", c => c.RightAligned()).AddColumn("spread / of bare");
foreach (var figure in figures)
{
    table.AddRow(figure.Name, figure.Unit, Text(figure.Value), Text(figure.Bare), Text(figure.Ratio), figure.Spread);
}

AnsiConsole.Write(table);
await File.WriteAllBytesAsync(output, JsonSerializer.SerializeToUtf8Bytes(figures, FigureJson.Default.ListFigure));
AnsiConsole.WriteLine($"written to {output}");
return 0;

async Task MeasureSizeAsync()
{
    using (var broker = new Broker(daemon))
    {
        await Task.Delay(TimeSpan.FromSeconds(1));
        figures.Add(Figure.Of("idle_rss", "MiB", broker.Resident / 1048576.0));

        // Beside a plain round trip between two processes, one heartbeat each.
        double roundTrip = Measured.By(bare, "5000", "65536")["round_trip"];
        figures.Add(await KeepAlivesAsync(broker, 1_000_000 / roundTrip));
    }

    using (var broker = new Broker(daemon))
    {
        // What the calls themselves leave behind is not the leases' own: so many are made and ended before.
        using (var early = new Crowd(broker))
        {
            await early.GrowAsync(broker, CrowdSize / 4);
            await early.ShrinkAsync();
        }

        // The broker gives that memory back when it was quiet for two of its looks, 10 s apart.
        await Task.Delay(TimeSpan.FromSeconds(25));
        long before = broker.Resident;
        using var crowd = new Crowd(broker);
        await crowd.GrowAsync(broker, CrowdSize);
        await crowd.BeatAllAsync();
        figures.Add(Figure.Of("heartbeat_cpu", "% of a core", 100 * await crowd.KeepPaceAsync(broker, TimeSpan.FromSeconds(30))));
        figures.Add(Figure.Of("lease_memory", "bytes", (broker.Resident - before) / (double)CrowdSize));
    }

    var ready = new Samples(11);
    for (int i = 0; i < 11; i++)
    {
        using var broker = new Broker(daemon);
        ready.Add(broker.ReadyAfter.TotalMicroseconds);
    }

    figures.Add(Figure.Of("exec_to_ready", "ms", ready.Quantile(0.5) / 1000));
}

static string Text(double? value) => value?.ToString("N2", CultureInfo.InvariantCulture) ?? "";

static async Task<Figure> KeepAlivesAsync(Broker broker, double roundTrips)
{
    using var crowd = new Crowd(broker);
    await crowd.GrowAsync(broker, 1000);
    await crowd.BeatAllAsync();
    int beats = 0;
    long begin = Stopwatch.GetTimestamp();
    while (Stopwatch.GetElapsedTime(begin) < TimeSpan.FromSeconds(3))
    {
        beats += await crowd.BeatAllAsync();
    }

    return Figure.Of("keepalives", "1/s", beats / Stopwatch.GetElapsedTime(begin).TotalSeconds, roundTrips);
}
