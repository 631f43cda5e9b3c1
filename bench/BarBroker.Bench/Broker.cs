// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;

namespace BarBroker.Bench;

/// <summary>A broker of the benchmark's own, on a simulated device; with a second one, sim1, that misbehaves as told.</summary>
internal sealed class Broker : IDisposable
{
    private const string Settings = """
        {
          "metrics": { "enabled": false },
          "leases": { "maxTtl": "1h" },
          "limits": { "leasesPerUid": 100000, "connectionsPerUid": 1024, "bytesPerUid": "64GiB" },
          "devices": [ { "name": "sim0", "kind": "simulated", "bars": [ { "index": 0, "size": "1GiB" } ] }SECOND ]
        }
        """;

    private const string SecondDevice = """, { "name": "sim1", "kind": "simulated", "bars": [ { "index": 0, "size": "1GiB" } ], "faults": "FAULTS" }""";

    private readonly Process _process;

    public Broker(string program, bool hasSecond = false)
    {
        RuntimeDirectory = Directory.CreateTempSubdirectory("barbroker-bench-").FullName;
        string configuration = Path.Combine(RuntimeDirectory, "broker.json");
        File.WriteAllText(configuration, Settings.Replace("SECOND", hasSecond ? SecondDevice.Replace("FAULTS", Faults, StringComparison.Ordinal) : "", StringComparison.Ordinal));
        long begin = Stopwatch.GetTimestamp();
        // Its log goes to a file: reading it would take one of the processors away from what is measured. A lease of a simulated device takes two descriptors.
        _process = Process.Start("/bin/sh", ["-c", "ulimit -n 65536 2>/dev/null; exec \"$0\" --config \"$1\" --runtime-dir \"$2\" 2>\"$2/log\"", program, configuration, RuntimeDirectory])
            ?? throw new InvalidOperationException($"{program} did not start");
        WaitUntilReady();
        ReadyAfter = Stopwatch.GetElapsedTime(begin);
    }

    public string RuntimeDirectory { get; }

    /// <summary>What sim1 does wrong; nothing while there is no such file.</summary>
    public string Faults => Path.Combine(RuntimeDirectory, "faults");

    /// <summary>From exec until all sockets take connections.</summary>
    public TimeSpan ReadyAfter { get; }

    public int Pid => _process.Id;

    /// <summary>Resident bytes.</summary>
    public long Resident => long.Parse(File.ReadAllText($"/proc/{Pid}/statm").Split(' ')[1], CultureInfo.InvariantCulture) * Environment.SystemPageSize;

    /// <summary>User and system time so far.</summary>
    public TimeSpan CpuTime
    {
        get
        {
            _process.Refresh();
            return _process.TotalProcessorTime;
        }
    }

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
        Directory.Delete(RuntimeDirectory, recursive: true);
    }

    private void WaitUntilReady()
    {
        foreach (string name in new[] { "broker.sock", "admin.sock" })
        {
            while (!Accepts(Path.Combine(RuntimeDirectory, name)))
            {
                if (_process.HasExited)
                {
                    throw new InvalidOperationException($"the broker ended with {_process.ExitCode} instead of becoming ready");
                }

                Thread.Sleep(1);
            }
        }
    }

    private static bool Accepts(string path)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(path));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
