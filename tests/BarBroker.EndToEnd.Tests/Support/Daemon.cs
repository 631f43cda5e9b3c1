// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using BarBroker.Linux.Processes;
using BarBroker.Testing;
using Mono.Unix.Native;

namespace BarBroker.EndToEnd.Tests.Support;

/// <summary>A daemon of the test's own, as a process. Disposing stops it as systemd would, and fails if it does not end well.</summary>
internal sealed class Daemon : IAsyncDisposable
{
    private readonly Process _process;
    private readonly Socket _notifications;
    private readonly ConcurrentQueue<string> _log = new();
    private bool _isOver;

    private Daemon(Process process, Socket notifications, string directory)
    {
        _process = process;
        Pid = process.Id;
        _notifications = notifications;
        RuntimeDirectory = directory;
        process.ErrorDataReceived += (_, line) => Keep(line.Data);
        process.OutputDataReceived += (_, line) => Keep(line.Data);
        process.BeginErrorReadLine();
        process.BeginOutputReadLine();
    }

    public string RuntimeDirectory { get; }

    public string ClientSocket => Path.Combine(RuntimeDirectory, "broker.sock");

    public string FdSocket => Path.Combine(RuntimeDirectory, "fd.sock");

    public string OperatorSocket => Path.Combine(RuntimeDirectory, "admin.sock");

    /// <summary>Of the daemon itself, which its launcher may have made a child.</summary>
    public int Pid { get; private set; }

    public string Log => string.Join('\n', _log);

    /// <summary>Lines of level Error and Critical, and what the runtime prints of an unhandled exception.</summary>
    public IReadOnlyList<string> Errors => [.. _log.Where(static line =>
        line.Contains("Z fail: ", StringComparison.Ordinal) || line.Contains("Z crit: ", StringComparison.Ordinal) || line.Contains("Unhandled exception", StringComparison.Ordinal))];

    /// <summary>How many fds the daemon has open.</summary>
    public int OpenFiles => Directory.GetFileSystemEntries($"/proc/{Pid}/fd").Length;

    /// <summary>How many connections and processes the daemon has open.</summary>
    public int OpenClients => Directory.GetFileSystemEntries($"/proc/{Pid}/fd")
        .Count(static file => new FileInfo(file).LinkTarget is { } target && (target.StartsWith("socket:", StringComparison.Ordinal) || target.Contains("pidfd", StringComparison.Ordinal)));

    /// <summary>Starts the daemon and waits until it says that it is ready (sd_notify(3)).</summary>
    /// <param name="launcher">What runs the daemon, such as setpriv with its arguments; empty: the test itself.</param>
    public static Task<Daemon> StartAsync(string directory, string configuration, params string[] launcher)
    {
        TestContext.Current.TestOutputHelper?.WriteLine($"daemon: {BrokerProgram.Description}");
        return StartProgramAsync(BrokerProgram.Path, directory, configuration, launcher);
    }

    public static async Task<Daemon> StartProgramAsync(string program, string directory, string configuration, params string[] launcher)
    {
        string notify = Path.Combine(directory, "notify");
        File.Delete(notify);
        var notifications = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        notifications.Bind(new UnixDomainSocketEndPoint(notify));
        File.SetUnixFileMode(notify, (UnixFileMode)0b110_110_110);
        var start = ProgramStart.Of([.. launcher, program, "--config", configuration, "--runtime-dir", Path.Combine(directory, "run")]);
        start.Environment["NOTIFY_SOCKET"] = notify;
        start.Environment.Remove("JOURNAL_STREAM");
        var broker = new Daemon(Process.Start(start)!, notifications, Path.Combine(directory, "run"));
        try
        {
            await broker.WaitReadyAsync();
            broker.Pid = broker.ListenerPid() is var pid && pid != Environment.ProcessId ? pid : broker.Pid;
            return broker;
        }
        catch
        {
            broker.Kill();
            await broker.DisposeAsync();
            throw;
        }
    }

    public void Kill()
    {
        _isOver = true;
        _process.Kill();
        _process.WaitForExit();
    }

    /// <summary>As <c>systemctl stop</c> does.</summary>
    /// <returns>The exit status.</returns>
    public async Task<int> StopAsync()
    {
        _isOver = true;
        Syscall.kill(Pid, Signum.SIGTERM);
        await Wait.For(_process.WaitForExitAsync(), $"the daemon ends after SIGTERM; its log:\n{Log}", Patience.Long);
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_isOver)
        {
            try
            {
                Assert.False(_process.HasExited, $"the daemon ended by itself; its log:\n{Log}");
                int status = await StopAsync();
                Assert.True(status == 0, $"the daemon ended with status {status} after SIGTERM; its log:\n{Log}");
            }
            finally
            {
                _process.Kill();
            }
        }

        _process.Dispose();
        _notifications.Dispose();
    }

    /// <summary>Who listens on a socket is the peer of who connects (unix(7), SO_PEERCRED).</summary>
    private int ListenerPid()
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Connect(new UnixDomainSocketEndPoint(OperatorSocket));
        return PeerCredentials.Of(socket).Pid;
    }

    private async Task WaitReadyAsync()
    {
        var buffer = new byte[4096];
        var exit = _process.WaitForExitAsync();
        while (true)
        {
            var receive = _notifications.ReceiveAsync(buffer);
            await Wait.For(Task.WhenAny(receive, exit), $"the daemon is ready; its log:\n{Log}", Patience.Long);
            if (!receive.IsCompleted)
            {
                throw new InvalidOperationException($"the daemon ended with status {_process.ExitCode} instead of getting ready; its log:\n{Log}");
            }

            if (Encoding.UTF8.GetString(buffer, 0, await receive).Split('\n').Contains("READY=1"))
            {
                return;
            }
        }
    }

    private void Keep(string? line)
    {
        if (line is not null)
        {
            _log.Enqueue(line);
        }
    }
}
