// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Testing;

namespace BarBroker.EndToEnd.Tests.Restart;

/// <summary>A process with many leases (tests/vm/BarBroker.LeaseProbe/Fleet.cs). Disposing kills it.</summary>
internal sealed class FleetProcess : IDisposable
{
    private readonly Process _process;
    private readonly ConcurrentQueue<string> _lines = new();
    private int _reports;
    private bool _isDisposed;

    private FleetProcess(Process process)
    {
        _process = process;
        process.OutputDataReceived += (_, line) => _lines.Enqueue(line.Data ?? "");
        process.ErrorDataReceived += (_, line) => _lines.Enqueue(line.Data ?? "");
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public IReadOnlyList<string> Ids { get; private set; } = [];

    /// <summary>The longest time without an answer that any report told of, in milliseconds.</summary>
    public long Silence { get; private set; }

    public string Output => string.Join('\n', _lines);

    public static async Task<FleetProcess> StartAsync(string runtimeDirectory, string device, int count, int ttl)
    {
        var start = new ProcessStartInfo(
            BrokerProgram.Find("BarBroker.LeaseProbe", "leaseprobe"),
            ["fleet", device, "0", count.ToString(CultureInfo.InvariantCulture), "4096", ttl.ToString(CultureInfo.InvariantCulture)])
        { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["BARBROKER_RUNTIME_DIR"] = runtimeDirectory;
        var fleet = new FleetProcess(Process.Start(start)!);
        await Wait.Until(() => fleet._process.HasExited || fleet._lines.Count > count, $"the fleet is ready: {fleet.Output}", Patience.Long);
        Assert.False(fleet._process.HasExited, fleet.Output);
        fleet.Ids = [.. fleet._lines.Where(static line => line.StartsWith("ls-", StringComparison.Ordinal)).Select(static line => line.Split(' ')[0])];
        return fleet;
    }

    public async Task<(long Rounds, int Lost, int Foreign)> ReportAsync()
    {
        await _process.StandardInput.WriteLineAsync("report");
        await _process.StandardInput.FlushAsync();
        int wanted = ++_reports;
        string[] reports = [];
        await Wait.Until(() => (reports = [.. _lines.Where(static line => line.StartsWith("report ", StringComparison.Ordinal))]).Length >= wanted, $"it reports: {Output}", Patience.Long);
        long[] numbers = [.. reports[wanted - 1].Split(' ').Skip(1).Select(static number => long.Parse(number, CultureInfo.InvariantCulture))];
        Silence = Math.Max(Silence, numbers[4]);
        return (numbers[0], (int)numbers[1], (int)numbers[2]);
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isDisposed, true))
        {
            return;
        }

        if (!_process.HasExited)
        {
            _process.Kill();
            _process.WaitForExit();
        }

        _process.StandardInput.Dispose();
        _process.Dispose();
    }
}
