// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using BarBroker.Linux;
using BarBroker.Linux.Processes;

namespace BarBroker.Cli.Running;

/// <summary>The command that <c>barctl run</c> started. It has the terminal, the standard streams, and the descriptors it was given, and no other of this process.</summary>
internal sealed class ChildProcess : IDisposable
{
    private readonly TaskCompletionSource<int> _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Process _process = new();
    private PidFd? _pidFd;

    private ChildProcess()
    {
    }

    /// <summary>Its exit status; 128+N if signal N ended it.</summary>
    public Task<int> Exited => _exited.Task;

    /// <summary>Starts the command. Only these descriptors are inherited, and only by it.</summary>
    public static async Task<ChildProcess> StartAsync(IReadOnlyList<string> command, IReadOnlyDictionary<string, string> environment, IReadOnlyList<FileDescriptor> inherited)
    {
        var child = new ChildProcess();
        child._process.StartInfo = ExecStub.StartInfo(command);
        foreach (var (name, value) in environment)
        {
            child._process.StartInfo.Environment[name] = value;
        }

        // A thread that lives as long as the command: the kernel sends the parent-death signal when the thread that forked ends (prctl(2)).
        var thread = new Thread(() => child.Live(inherited)) { IsBackground = true, Name = "command" };
        thread.Start();
        await child._started.Task;
        return child;
    }

    /// <summary>A command that has ended is left alone.</summary>
    public void Signal(int signal)
    {
        try
        {
            _pidFd?.SendSignal(signal);
        }
        catch (LinuxException exception) when (exception.Errno == Errno.ESRCH)
        {
            // It ended just now.
        }
        catch (LinuxException exception) when (exception.Errno == Errno.EPERM)
        {
            Failure.Say($"signal {signal} could not be passed on: the command changed its user.");
        }
    }

    public void Dispose()
    {
        _pidFd?.Dispose();
        _process.Dispose();
    }

    private void Live(IReadOnlyList<FileDescriptor> inherited)
    {
        try
        {
            Start(inherited);
            _started.SetResult();
        }
#pragma warning disable CA1031 // Handed to whoever awaits the start.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            _started.SetException(exception);
            return;
        }

        _process.WaitForExit();
        _exited.SetResult(_process.ExitCode);
    }

    private void Start(IReadOnlyList<FileDescriptor> inherited)
    {
        // Nothing else of this process forks, so that nobody but the command sees them inheritable.
        foreach (var file in inherited)
        {
            file.SetInheritable(true);
        }

        try
        {
            _process.Start();
        }
        finally
        {
            foreach (var file in inherited)
            {
                file.SetInheritable(false);
            }
        }

        try
        {
            _pidFd = PidFd.Open(_process.Id);
        }
        catch (LinuxException exception) when (exception.Errno == Errno.ESRCH)
        {
            // Ended and reaped already: there is nothing to signal.
        }
    }
}
