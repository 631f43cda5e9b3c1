// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using System.Diagnostics;
using BarBroker.Testing;

namespace BarBroker.EndToEnd.Tests.Support;

/// <summary>A program that a test starts, and what it prints, line by line. Disposing kills it if it still runs.</summary>
internal sealed class Tool : IDisposable
{
    private readonly Process _process;
    private readonly ConcurrentQueue<string> _lines = new();

    private Tool(Process process)
    {
        _process = process;
        process.OutputDataReceived += (_, line) => Keep(line.Data);
        process.ErrorDataReceived += (_, line) => Keep(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public int Pid => _process.Id;

    public bool HasExited => _process.HasExited;

    public string Output => string.Join('\n', _lines);

    public static Tool Start(string[] command, string? directory = null, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = directory ?? "" };
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        return new Tool(Process.Start(start)!);
    }

    /// <summary>Runs a program to its end, which must be a good one; gives what it printed.</summary>
    public static async Task<string> RunAsync(params string[] command)
    {
        using var tool = Start(command);
        int status = await tool.WaitAsync(Patience.Long);
        Assert.True(status == 0, $"{string.Join(' ', command)} ended with {status}:\n{tool.Output}");
        return tool.Output;
    }

    /// <summary>The first line that begins like this.</summary>
    public async Task<string> LineAsync(string start)
    {
        string? Find() => _lines.FirstOrDefault(line => line.StartsWith(start, StringComparison.Ordinal));
        await Wait.Until(() => _process.HasExited || Find() is not null, $"a line \"{start}...\" of {_process.StartInfo.FileName}, which has printed:\n{Output}", Patience.Long);
        if (Find() is null)
        {
            // What it printed last may still be on its way.
            await WaitAsync(Patience.Long);
        }

        return Find() ?? throw new InvalidOperationException($"{_process.StartInfo.FileName} ended with {_process.ExitCode} without a line \"{start}...\":\n{Output}");
    }

    /// <returns>The exit status, when all that it printed was read.</returns>
    public async Task<int> WaitAsync(TimeSpan limit)
    {
        await Wait.For(_process.WaitForExitAsync(), $"the end of {_process.StartInfo.FileName}", limit);
        return _process.ExitCode;
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            _process.WaitForExit();
        }

        _process.Dispose();
    }

    private void Keep(string? line)
    {
        if (line is not null)
        {
            _lines.Enqueue(line);
        }
    }
}
