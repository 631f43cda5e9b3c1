// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Globalization;
using System.Threading.Channels;
using BarBroker.Linux.Processes;
using Spectre.Console;

namespace BarBroker.Demo;

/// <summary>A client process as the demo sees it: what it says, and how it ends.</summary>
internal sealed class WorkerProcess : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private readonly string _name;
    private readonly Process _process;
    private readonly PidFd _pidFd;
    private readonly Channel<string> _lines = Channel.CreateUnbounded<string>();
    private long _lastCount;

    private WorkerProcess(string name, Process process)
    {
        _name = name;
        _process = process;
        _pidFd = PidFd.Open(process.Id);
    }

    public string Lease { get; private set; } = "";

    public ulong Offset { get; private set; }

    /// <summary>What the first bytes held when the lease began.</summary>
    public ulong Found { get; private set; }

    /// <summary>What the client last said that it wrote and read back.</summary>
    public long LastCount => Volatile.Read(ref _lastCount);

    public int Pid => _process.Id;

    public static async Task<WorkerProcess> StartAsync(DemoBroker broker, string name, params string[] arguments)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!, ["worker", .. arguments]) { RedirectStandardOutput = true };
        start.Environment["BARBROKER_RUNTIME_DIR"] = broker.RuntimeDirectory;
        var worker = new WorkerProcess(name, broker.Own(Process.Start(start) ?? throw new InvalidOperationException($"client {name} did not start")));
        worker._process.OutputDataReceived += (_, line) => worker.Hear(line.Data);
        worker._process.BeginOutputReadLine();
        string[] words = (await worker.NextAsync("leased")).Split(' ');
        worker.Lease = words[1];
        worker.Offset = ulong.Parse(words[2], CultureInfo.InvariantCulture);
        worker.Found = ulong.Parse(words[3], CultureInfo.InvariantCulture);
        await worker.NextAsync("wrote");
        AnsiConsole.MarkupLineInterpolated($"client [bold]{name}[/] (process {worker.Pid}) leased [bold]{worker.Lease}[/]: BAR 0, 256 KiB from 0x{worker.Offset:x}, mapped, and writes");
        return worker;
    }

    public void Signal(int signal) => _pidFd.SendSignal(signal);

    /// <summary>Waits for the next line that begins so.</summary>
    public async Task<string> NextAsync(string beginning)
    {
        using var patience = new CancellationTokenSource(Patience);
        try
        {
            await foreach (string line in _lines.Reader.ReadAllAsync(patience.Token))
            {
                if (line.StartsWith(beginning, StringComparison.Ordinal))
                {
                    return line;
                }
            }
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"client {_name} did not say \"{beginning}\" within {Patience.TotalSeconds} s");
        }

        throw new InvalidOperationException($"client {_name} ended before it said \"{beginning}\"");
    }

    /// <summary>Waits until the client wrote more than that, past the lines that it has said meanwhile.</summary>
    public async Task CountPastAsync(long count)
    {
        while (LastCount <= count)
        {
            await NextAsync("wrote");
        }
    }

    /// <summary>Waits for the end; returns the exit status, 128 + N after signal N.</summary>
    public async Task<int> ExitAsync()
    {
        using var patience = new CancellationTokenSource(Patience);
        await _process.WaitForExitAsync(patience.Token);
        return _process.ExitCode;
    }

    public void Dispose()
    {
        _pidFd.Dispose();
        _process.Dispose();
    }

    private void Hear(string? line)
    {
        if (line is null)
        {
            _lines.Writer.TryComplete();
            return;
        }

        if (line.StartsWith("wrote ", StringComparison.Ordinal))
        {
            Volatile.Write(ref _lastCount, long.Parse(line.AsSpan(6), CultureInfo.InvariantCulture));
        }

        _lines.Writer.TryWrite(line);
    }
}
