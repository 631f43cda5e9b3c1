// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using BarBroker.Bench;
using Spectre.Console;

if (args is not [string daemon, string bare, string output])
{
    Console.Error.WriteLine("usage: BarBroker.Bench BARBROKERD BARE OUTPUT.json");
    return 2;
}

const int Rounds = 5000;
const int Turns = 5;
const ulong Size = 65536;
const int CrowdSize = 10_000;
var figures = new List<Figure>();

using (var broker = new Broker(daemon))
{
    await Task.Delay(TimeSpan.FromSeconds(1));
    figures.Add(Figure.Of("idle_rss", "MiB", broker.Resident / 1048576.0));

    // In turn, so that both see the same machine: the median of the turns' medians is told.
    var acquire = new Samples(Turns);
    var revoke = new Samples(Turns);
    var bareAcquire = new Samples(Turns);
    var bareRevoke = new Samples(Turns);
    var roundTrip = new Samples(Turns);
    var call = new Samples(Turns);
    await LifeAndDeath.MeasureAsync(broker, Rounds, Size);
    for (int turn = 0; turn < Turns; turn++)
    {
        var kernel = Bare.Run(bare, Rounds, (long)Size);
        bareAcquire.Add(kernel["acquire_to_fd"]);
        bareRevoke.Add(kernel["revoke_to_gone"]);
        roundTrip.Add(kernel["round_trip"]);
        var (a, r) = await LifeAndDeath.MeasureAsync(broker, Rounds, Size);
        acquire.Add(a.Quantile(0.5));
        revoke.Add(r.Quantile(0.5));
        call.Add((await LifeAndDeath.RoundTripsAsync(broker, Rounds)).Quantile(0.5));
    }

    figures.Insert(0, Figure.Of("revoke_to_gone", "µs", revoke.Quantile(0.5), bareRevoke.Quantile(0.5)));
    figures.Insert(0, Figure.Of("acquire_to_fd", "µs", acquire.Quantile(0.5), bareAcquire.Quantile(0.5)));

    figures.Add(Figure.Of("empty_call", "µs", call.Quantile(0.5), roundTrip.Quantile(0.5)));

    // Beside a plain round trip between two processes, one heartbeat each.
    figures.Add(await KeepAlivesAsync(broker, 1_000_000 / roundTrip.Quantile(0.5)));
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

var table = new Table().Border(TableBorder.Simple).AddColumns("figure", "unit").AddColumn("value", c => c.RightAligned()).AddColumn("bare", c => c.RightAligned()).AddColumn("ratio", c => c.RightAligned());
foreach (var figure in figures)
{
    table.AddRow(figure.Name, figure.Unit, Text(figure.Value), Text(figure.Bare), Text(figure.Ratio));
}

AnsiConsole.Write(table);
await File.WriteAllBytesAsync(output, JsonSerializer.SerializeToUtf8Bytes(figures, FigureJson.Default.ListFigure));
AnsiConsole.WriteLine($"written to {output}");
return 0;

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
