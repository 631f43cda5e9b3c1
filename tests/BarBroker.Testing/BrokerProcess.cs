// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Sockets;
using BarBroker.Linux;

namespace BarBroker.Testing;

/// <summary>The built daemon as a process, with sockets and state in a directory of its own and simulated devices.</summary>
public sealed class BrokerProcess : IAsyncDisposable
{
    private readonly TestDirectory _directory = new();
    private readonly ConcurrentQueue<string> _log = new();
    private Process? _process;

    private BrokerProcess(string settings)
    {
        RuntimeDirectory = _directory.File("run");
        FaultsFile = _directory.File("faults");
        ConfigurationFile = _directory.File("broker.json");
        // The groups of an installed broker need not exist here. Root has to name others; anybody else's sockets are his own.
        string sockets = Users.EffectiveUid == 0 ? """ "sockets": { "clientGroup": "root", "operatorGroup": "root" }, """ : "";
        File.WriteAllText(ConfigurationFile, $"{{ {sockets} {settings.Replace("FAULTS", FaultsFile, StringComparison.Ordinal)} }}");
    }

    /// <summary>One device, sim0, with a BAR 0 of 1 MiB and a BAR 2 of 256 KiB, the second half of which is two pools', whose faults are in <see cref="FaultsFile"/>.</summary>
    public const string OneDevice = """
        "metrics": { "enabled": false },
        "leases": { "defaultTtl": "30s", "minTtl": "100ms", "revokeTimeout": "500ms" },
        "devices": [ { "name": "sim0", "kind": "simulated", "faults": "FAULTS",
                       "bars": [ { "index": 0, "size": "1MiB" }, { "index": 2, "size": "256KiB" } ] } ],
        "pools": [ { "name": "doorbells", "buffers": [ { "bar": 2, "offset": "128KiB", "size": "4KiB" } ], "count": 3, "scrub": "0x00000000" },
                   { "name": "memory", "buffers": [ { "bar": 2, "offset": "192KiB", "granularity": "8KiB" } ] } ]
        """;

    public string RuntimeDirectory { get; }

    /// <summary>What the simulated device shall do wrong; see the daemon's documentation.</summary>
    public string FaultsFile { get; }

    public string ConfigurationFile { get; }

    public string Log => string.Join('\n', _log);

    public int Pid => _process!.Id;

    public static async Task<BrokerProcess> StartAsync(string settings = OneDevice)
    {
        var broker = new BrokerProcess(settings);
        try
        {
            await broker.StartProcessAsync();
            return broker;
        }
        catch
        {
            await broker.DisposeAsync();
            throw;
        }
    }

    /// <summary>SIGKILL: the broker has no time for anything.</summary>
    public async Task KillAsync()
    {
        _process!.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
        _process = null;
    }

    /// <summary>Starts it again after <see cref="KillAsync"/>, with the same directories.</summary>
    public async Task StartProcessAsync()
    {
        _process = new Process { StartInfo = ProgramStart.Of(FindProgram(), "--config", ConfigurationFile, "--runtime-dir", RuntimeDirectory) };
        _process.ErrorDataReceived += (_, line) => _log.Enqueue(line.Data ?? "");
        _process.OutputDataReceived += (_, line) => _log.Enqueue(line.Data ?? "");
        _process.Start();
        _process.BeginErrorReadLine();
        _process.BeginOutputReadLine();
        await Wait.Until(() => _process.HasExited || (Accepts("broker.sock", SocketType.Stream) && Accepts("fd.sock", SocketType.Seqpacket)), "the broker's sockets accept");
        if (_process.HasExited)
        {
            throw new InvalidOperationException($"the broker ended with {_process.ExitCode}:\n{Log}");
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            await KillAsync();
        }

        _directory.Dispose();
    }

    /// <summary>The daemon that was built with the tests: in the same configuration, beside them.</summary>
    private static string FindProgram()
    {
        string configuration = Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));
        string program = Path.Combine(Repository.Root, "artifacts", "bin", "BarBroker", configuration, "barbrokerd");
        return File.Exists(program) ? program : throw new InvalidOperationException($"{program} is not there; build src/BarBroker");
    }

    private bool Accepts(string name, SocketType type)
    {
        using var socket = new Socket(AddressFamily.Unix, type, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(Path.Combine(RuntimeDirectory, name)));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
