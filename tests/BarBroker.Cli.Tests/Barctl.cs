// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using BarBroker.Linux.Processes;
using BarBroker.Testing;

namespace BarBroker.Cli.Tests;

/// <summary>barctl as a process.</summary>
internal sealed class Barctl : IDisposable
{
    private readonly Process _process;
    private readonly Task<string> _output;
    private readonly Task<string> _errors;

    private Barctl(Process process)
    {
        _process = process;
        _output = process.StandardOutput.ReadToEndAsync();
        _errors = process.StandardError.ReadToEndAsync();
    }

    /// <summary>The one that was built with the tests.</summary>
    public static string Built { get; } = Path.Combine(
        Repository.Root, "artifacts", "bin", "BarBroker.Cli", Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory)), "barctl");

    /// <summary>The one that users get; there only after scripts/publish.</summary>
    public static string Published { get; } = Path.Combine(Repository.Root, "artifacts", "publish", "barctl", "barctl");

    public int Pid => _process.Id;

    public static Barctl Start(string? runtimeDirectory, params string[] arguments) => StartProgram(Built, runtimeDirectory, arguments);

    public static Barctl StartProgram(string program, string? runtimeDirectory, params string[] arguments)
    {
        var start = ProgramStart.Of([program, .. arguments]);
        start.RedirectStandardInput = true;
        start.Environment["BARBROKER_RUNTIME_DIR"] = runtimeDirectory;
        start.Environment.Remove("NO_COLOR");
        var process = Process.Start(start)!;
        process.StandardInput.Close();
        return new Barctl(process);
    }

    /// <summary>On a terminal of 80 columns and 24 rows, where somebody types.</summary>
    /// <param name="typed">As printf(1) has it.</param>
    public static Barctl StartOnTerminal(string runtimeDirectory, string typed, string arguments) => StartProgram(
        "sh", runtimeDirectory, "-c", $"printf '{typed}' | TERM=xterm-256color script -qec 'stty cols 80 rows 24; exec {Built} {arguments}' /dev/null");

    public static async Task<BarctlResult> RunAsync(string? runtimeDirectory, params string[] arguments)
    {
        using var barctl = Start(runtimeDirectory, arguments);
        return await barctl.WaitAsync();
    }

    public async Task<BarctlResult> WaitAsync()
    {
        await Wait.For(_process.WaitForExitAsync(), "barctl ends");
        return new BarctlResult(_process.ExitCode, await _output, await _errors);
    }

    public void Signal(int signal)
    {
        using var pidFd = PidFd.Open(_process.Id);
        pidFd.SendSignal(signal);
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            _process.WaitForExit();
        }

        _process.StandardOutput.Dispose();
        _process.StandardError.Dispose();
        _process.Dispose();
    }
}
