// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Net.Sockets;
using BarBroker.Linux.Processes;
using Spectre.Console;

namespace BarBroker.Demo;

/// <summary>A broker of the demo's own in a temporary directory. Disposing it leaves nothing behind: no process, no file.</summary>
internal sealed class DemoBroker : IAsyncDisposable
{
    public const string Device = "sim0";

    private const int Terminate = 15;
    private const string Settings = """
        {
          // A device of memory, for trying things out; enforced by the kernel all the same.
          "devices": [ { "name": "sim0", "kind": "simulated", "bars": [ { "index": 0, "size": "1MiB" } ] } ],
          "metrics": { "address": "127.0.0.1:0" }
        }
        """;

    private readonly string _barctl;
    private readonly List<Process> _processes = [];
    private readonly Process _daemon;

    private DemoBroker(string daemon, string barctl)
    {
        _barctl = barctl;
        RuntimeDirectory = Directory.CreateTempSubdirectory("barbroker-demo-").FullName;
        string configuration = Path.Combine(RuntimeDirectory, "broker.json");
        File.WriteAllText(configuration, Settings);
        var start = new ProcessStartInfo(daemon, ["--config", configuration, "--runtime-dir", RuntimeDirectory]) { RedirectStandardError = true, RedirectStandardOutput = true };
        _daemon = Process.Start(start) ?? throw new InvalidOperationException($"{daemon} did not start");
        Log = Path.Combine(RuntimeDirectory, "log");
        _daemon.ErrorDataReceived += (_, line) => Keep(line.Data);
        _daemon.OutputDataReceived += (_, line) => Keep(line.Data);
        _daemon.BeginErrorReadLine();
        _daemon.BeginOutputReadLine();
    }

    public string RuntimeDirectory { get; }

    public int Pid => _daemon.Id;

    /// <summary>What the daemon logs.</summary>
    private string Log { get; }

    public static async Task<DemoBroker> StartAsync(string daemon, string barctl)
    {
        var broker = new DemoBroker(daemon, barctl);
        try
        {
            await broker.WaitUntilReadyAsync();
            return broker;
        }
        catch
        {
            await broker.DisposeAsync();
            throw;
        }
    }

    /// <summary>A process that must not outlive the demo.</summary>
    public Process Own(Process process)
    {
        _processes.Add(process);
        return process;
    }

    /// <summary>Runs barctl on the demo's terminal, after showing the command.</summary>
    public async Task BarctlAsync(params string[] arguments)
    {
        AnsiConsole.MarkupLineInterpolated($"[dim]$ barctl {string.Join(' ', arguments)}[/]");
        int status = await RunBarctlAsync(arguments, capture: null);
        if (status != 0)
        {
            throw new InvalidOperationException($"barctl {string.Join(' ', arguments)} ended with {status}");
        }
    }

    /// <summary>What barctl prints.</summary>
    public async Task<string> AskBarctlAsync(params string[] arguments)
    {
        var output = new StringWriter();
        int status = await RunBarctlAsync(arguments, output);
        return status == 0 ? output.ToString() : throw new InvalidOperationException($"barctl {string.Join(' ', arguments)} ended with {status}");
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _processes.Where(IsRunning))
        {
            process.Kill();
        }

        if (!_daemon.HasExited)
        {
            using (var pidFd = PidFd.Open(_daemon.Id))
            {
                pidFd.SendSignal(Terminate);
            }

            await _daemon.WaitForExitAsync();
        }

        _daemon.Dispose();
        Directory.Delete(RuntimeDirectory, recursive: true);
    }

    private static bool IsRunning(Process process)
    {
        try
        {
            return !process.HasExited;
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    private async Task<int> RunBarctlAsync(string[] arguments, StringWriter? capture)
    {
        var start = new ProcessStartInfo(_barctl, ["--runtime-dir", RuntimeDirectory, .. arguments]) { RedirectStandardOutput = capture is not null };
        using var process = Process.Start(start) ?? throw new InvalidOperationException($"{_barctl} did not start");
        if (capture is not null)
        {
            await capture.WriteAsync(await process.StandardOutput.ReadToEndAsync());
        }

        await process.WaitForExitAsync();
        return process.ExitCode;
    }

    private async Task WaitUntilReadyAsync()
    {
        long begin = Stopwatch.GetTimestamp();
        while (true)
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(Path.Combine(RuntimeDirectory, "admin.sock")));
                return;
            }
            catch (SocketException) when (!_daemon.HasExited && Stopwatch.GetElapsedTime(begin) < TimeSpan.FromSeconds(15))
            {
                await Task.Delay(TimeSpan.FromMilliseconds(20));
            }
            catch (SocketException)
            {
                throw new InvalidOperationException($"barbrokerd did not become ready. It said:\n{(File.Exists(Log) ? await File.ReadAllTextAsync(Log) : "nothing")}");
            }
        }
    }

    private void Keep(string? line)
    {
        if (line is not null)
        {
            lock (_processes)
            {
                File.AppendAllLines(Log, [line]);
            }
        }
    }
}
