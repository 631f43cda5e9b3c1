// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using BarBroker.Testing;

namespace BarBroker.Client.Tests.Tracing;

/// <summary>A program of the project as a process: the sample that has a lease and sends its spans itself, or barctl. Disposing kills it.</summary>
internal sealed class TracedProcess : IDisposable
{
    private readonly Process _process;

    private TracedProcess(Process process) => _process = process;

    /// <summary>What the sample has said of its lease.</summary>
    public string Lease { get; private set; } = "";

    /// <summary>Of the sample's own span.</summary>
    public string TraceId { get; private set; } = "";

    /// <summary>samples/BarBroker.TracedLease, which has its lease now.</summary>
    public static async Task<TracedProcess> StartSampleAsync(BrokerProcess broker, OtlpReceiver receiver)
    {
        var sample = Start("BarBroker.TracedLease", "BarBroker.TracedLease", broker, [], ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.Endpoint));
        try
        {
            string? line = await Wait.For(sample._process.StandardOutput.ReadLineAsync(), "the sample has its lease");
            string[] words = line?.Split(' ') ?? [];
            Assert.True(words is [['l', 's', '-', ..], "is", "in", "trace", { Length: 32 }], $"the sample said \"{line}\"");
            (sample.Lease, sample.TraceId) = (words[0], words[4]);
            return sample;
        }
        catch
        {
            sample.Dispose();
            throw;
        }
    }

    public static Task<int> BarctlAsync(BrokerProcess broker, params string[] arguments) => BarctlAsync(broker, [], arguments);

    public static async Task<int> BarctlAsync(BrokerProcess broker, (string Name, string Value)[] environment, params string[] arguments)
    {
        using var barctl = Start("BarBroker.Cli", "barctl", broker, arguments, environment);
        return await barctl.EndAsync();
    }

    /// <summary>Enter: it gives its lease back, if it has it still.</summary>
    /// <returns>Its exit status.</returns>
    public async Task<int> EndAsync()
    {
        try
        {
            await _process.StandardInput.WriteLineAsync();
        }
        catch (IOException)
        {
            // It has lost its lease and ended.
        }

        string output = await Wait.For(_process.StandardOutput.ReadToEndAsync(), $"the end of {_process.StartInfo.FileName}");
        await Wait.For(_process.WaitForExitAsync(), $"the end of {_process.StartInfo.FileName}, which said {output}");
        return _process.ExitCode;
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            _process.WaitForExit();
        }

        _process.StandardInput.BaseStream.Dispose();
        _process.StandardOutput.Dispose();
        _process.Dispose();
    }

    private static TracedProcess Start(string project, string name, BrokerProcess broker, string[] arguments, params (string Name, string Value)[] environment)
    {
        string configuration = Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));
        var start = new ProcessStartInfo(Path.Combine(Repository.Root, "artifacts", "bin", project, configuration, name), arguments) { RedirectStandardInput = true, RedirectStandardOutput = true };
        start.Environment["BARBROKER_RUNTIME_DIR"] = broker.RuntimeDirectory;
        foreach (var (key, value) in environment)
        {
            start.Environment[key] = value;
        }

        return new TracedProcess(Process.Start(start)!);
    }
}
