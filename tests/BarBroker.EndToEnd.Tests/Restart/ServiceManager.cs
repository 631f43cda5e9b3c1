// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Linux;
using BarBroker.Testing;
using Mono.Unix.Native;

namespace BarBroker.EndToEnd.Tests.Restart;

/// <summary>Plays systemd's part: starts the daemon, listens to what it notifies, keeps the descriptors that it stores, and passes them to the next run.</summary>
internal sealed class ServiceManager : IAsyncDisposable
{
    private readonly string _directory;
    private readonly string _configuration;
    private readonly ManagerStore _store;
    private readonly ConcurrentQueue<string> _log = new();
    private TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Process? _process;

    public ServiceManager(string directory, string configuration)
    {
        _directory = directory;
        _configuration = configuration;
        RuntimeDirectory = Path.Combine(directory, "run");
        _store = new ManagerStore(Path.Combine(directory, "notify"), Told);
    }

    public string RuntimeDirectory { get; }

    public string OperatorSocket => Path.Combine(RuntimeDirectory, "admin.sock");

    public string Database => Path.Combine(RuntimeDirectory, "state", "journal.db");

    public int Pid => _process!.Id;

    /// <summary>FileDescriptorStoreMax=.</summary>
    public int Capacity { get; init; } = 4096;

    public string Log => string.Join('\n', _log);

    /// <summary>The names in the store, each as often as it is there.</summary>
    public IReadOnlyList<string> Stored => _store.With<IReadOnlyList<string>>(static kept => [.. kept.Select(static one => one.Name)]);

    /// <summary>The daemon has said so.</summary>
    public bool IsReady => _ready.Task.IsCompleted;

    /// <summary>Starts the daemon with what is in the store, and waits until it is ready.</summary>
    public async Task StartAsync()
    {
        Begin();
        await Wait.For(Task.WhenAny(_ready.Task, _process!.WaitForExitAsync()), "the daemon is ready", Patience.Long);
        Assert.True(_ready.Task.IsCompleted, $"the daemon ended instead of getting ready; its log:\n{Log}");
    }

    /// <summary>The same without waiting.</summary>
    public void Begin()
    {
        Assert.Null(_process);
        _ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        (string Name, FileDescriptor File)[] passed = _store.With(static kept => kept.ToArray());
        string names = string.Join(':', passed.Select(static kept => kept.Name));
        string numbers = string.Join(',', passed.Select(static kept => kept.File.Number.ToString(CultureInfo.InvariantCulture)));
        var start = ProgramStart.Of([NativeProgram.Build("fd_launcher.c"), names, numbers, BrokerProgram.Path, "--config", _configuration, "--runtime-dir", RuntimeDirectory]);
        start.Environment["NOTIFY_SOCKET"] = Path.Combine(_directory, "notify");
        start.Environment["FDSTORE"] = Capacity.ToString(CultureInfo.InvariantCulture);
        start.Environment.Remove("JOURNAL_STREAM");
        foreach (var kept in passed)
        {
            kept.File.SetInheritable(true);
        }

        _process = Process.Start(start)!;
        foreach (var kept in passed)
        {
            kept.File.SetInheritable(false);
        }

        _process.OutputDataReceived += (_, line) => _log.Enqueue(line.Data ?? "");
        _process.ErrorDataReceived += (_, line) => _log.Enqueue(line.Data ?? "");
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>As <c>systemctl restart</c> does.</summary>
    public async Task StopAsync()
    {
        Syscall.kill(Pid, Signum.SIGTERM);
        await Wait.For(_process!.WaitForExitAsync(), $"the daemon ends after SIGTERM; its log:\n{Log}", Patience.Long);
        Assert.Equal(0, _process.ExitCode);
        Forget();
    }

    public async Task KillAsync()
    {
        Syscall.kill(Pid, Signum.SIGKILL);
        await Wait.For(_process!.WaitForExitAsync(), "the daemon is dead", Patience.Long);
        Forget();
    }

    /// <summary>While no daemon runs: does what it wants with what is kept by that name.</summary>
    public void Tamper(string name, Action<FileDescriptor> change) => change(_store.With(kept => kept.First(one => one.Name == name).File));

    public void Lose(string name) => _store.With(kept =>
    {
        int index = kept.FindIndex(one => one.Name == name);
        kept[index].File.Dispose();
        kept.RemoveAt(index);
        return index;
    });

    public void Add(string name, FileDescriptor file) => _store.With(kept =>
    {
        kept.Add((name, file));
        return kept.Count;
    });

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            await KillAsync();
        }

        await _store.DisposeAsync();
    }

    private void Forget()
    {
        _process!.Dispose();
        _process = null;
    }

    private void Told(string[] state)
    {
        if (state.Contains("FDSTORE=1"))
        {
            Assert.Contains("FDPOLL=0", state);
        }

        if (state.Contains("READY=1"))
        {
            _ready.TrySetResult();
        }
    }
}
