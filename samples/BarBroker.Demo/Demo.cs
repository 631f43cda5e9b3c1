// SPDX-License-Identifier: Apache-2.0

using System.Text.Json;
using Spectre.Console;

namespace BarBroker.Demo;

/// <summary>The story that <c>make demo</c> tells. Each step checks what it shows, and the demo fails with the first one that is not true.</summary>
internal static class Demo
{
    public static async Task<int> RunAsync(string daemon, string barctl)
    {
        try
        {
            await using (var broker = await DemoBroker.StartAsync(daemon, barctl))
            {
                await TellAsync(broker);
            }

            AnsiConsole.MarkupLine("\n[green bold]done[/]: the broker was stopped, every process has ended, every file is removed");
            return 0;
        }
        catch (Exception failure) when (failure is InvalidOperationException or TimeoutException or IOException or OperationCanceledException)
        {
            AnsiConsole.MarkupLineInterpolated($"\n[red bold]the demo failed[/]: {failure.Message}");
            return 1;
        }
    }

    private static async Task TellAsync(DemoBroker broker)
    {
        Title("A broker with one simulated device, and two clients");
        AnsiConsole.MarkupLineInterpolated($"barbrokerd is process {broker.Pid}, its sockets are in {broker.RuntimeDirectory}");
        using var ann = await WorkerProcess.StartAsync(broker, "Ann", "bold");
        using var bob = await WorkerProcess.StartAsync(broker, "Bob", "careful");
        await broker.BarctlAsync("device", "show", DemoBroker.Device);

        Title("Ann hangs: SIGSTOP. Her heartbeats end, her lease expires after 2 s");
        ann.Signal(Signals.Stop);
        await ExpiredAsync(broker, ann);
        using var carl = await WorkerProcess.StartAsync(broker, "Carl", "careful", $"{ann.Offset}");
        Expect(carl.Found >= (ulong)ann.LastCount, $"the same memory, with what Ann left in it: {carl.Found}");
        await broker.BarctlAsync("lease", "list");

        Title("Ann wakes up and writes on: SIGCONT");
        ann.Signal(Signals.Continue);
        int status = await ann.ExitAsync();
        Expect(status == 128 + Signals.Bus, "her first touch of the memory was answered with SIGBUS; process " + ann.Pid + " is dead");
        long before = carl.LastCount;
        await carl.CountPastAsync(before);
        Expect(carl.LastCount > before, $"Carl never noticed, and counts on: {carl.LastCount}");

        Title("An operator takes Bob's lease away");
        await broker.BarctlAsync("lease", "revoke", bob.Lease);
        string lost = await bob.NextAsync("lost");
        Expect(await bob.ExitAsync() == 0, $"Bob touches memory through checked copies: he got an exception (\"{lost}\") instead of the signal");
        await broker.BarctlAsync("device", "show", DemoBroker.Device);

        Title("What Prometheus sees");
        await ShowMetricsAsync(broker);
    }

    private static async Task ExpiredAsync(DemoBroker broker, WorkerProcess worker)
    {
        for (int i = 0; i < 100; i++)
        {
            using var lease = JsonDocument.Parse(await broker.AskBarctlAsync("lease", "show", worker.Lease, "-o", "json"));
            if (lease.RootElement.ToString().Contains("expired", StringComparison.OrdinalIgnoreCase))
            {
                AnsiConsole.MarkupLineInterpolated($"lease [bold]{worker.Lease}[/] has ended: EXPIRED; process {worker.Pid} still has the memory mapped, and is stopped");
                return;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(100));
        }

        throw new TimeoutException($"lease {worker.Lease} did not expire within 10 s");
    }

    private static async Task ShowMetricsAsync(DemoBroker broker)
    {
        using var status = JsonDocument.Parse(await broker.AskBarctlAsync("status", "-o", "json"));
        string url = status.RootElement.GetProperty("metrics_url").GetString() ?? "";
        AnsiConsole.MarkupLineInterpolated($"[dim]$ curl {url}[/]");
        using var http = new HttpClient();
        foreach (string line in (await http.GetStringAsync(new Uri(url))).Split('\n'))
        {
            if (line.StartsWith("barbroker_lease_grants", StringComparison.Ordinal) || line.StartsWith("barbroker_lease_ends", StringComparison.Ordinal)
                || line.StartsWith("barbroker_bar_bytes", StringComparison.Ordinal) || line.StartsWith("barbroker_revoke_duration_seconds_count", StringComparison.Ordinal))
            {
                Console.WriteLine(line);
            }
        }
    }

    private static void Title(string text)
    {
        AnsiConsole.WriteLine();
        AnsiConsole.Write(new Rule($"[bold]{Markup.Escape(text)}[/]").LeftJustified());
    }

    private static void Expect(bool holds, string what)
    {
        if (!holds)
        {
            throw new InvalidOperationException($"this did not hold: {what}");
        }

        AnsiConsole.MarkupLineInterpolated($"[green]✓[/] {what}");
    }
}
