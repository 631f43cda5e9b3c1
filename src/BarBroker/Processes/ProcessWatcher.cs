// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Events;
using BarBroker.Linux.Processes;

namespace BarBroker.Processes;

/// <summary>One thread that waits for the end of any number of processes by their pidfds (pidfd_open(2): readable once the process has ended).</summary>
internal sealed class ProcessWatcher : IDisposable
{
    private const ulong StopKey = 0;

    private readonly Epoll _epoll = new();
    private readonly EventFd _stop = new();
    private readonly Action<ulong> _exited;
    private readonly ILogger _log;
    private readonly Thread _thread;

    /// <param name="exited">Called on the watcher's thread with the key of each process that ended.</param>
    public ProcessWatcher(Action<ulong> exited, ILogger log)
    {
        _exited = exited;
        _log = log;
        _epoll.Add(_stop, StopKey);
        _thread = new Thread(Run, maxStackSize: 256 * 1024) { IsBackground = true, Name = "process-watcher" };
        _thread.Start();
    }

    /// <param name="key">Not 0. A process that has ended already is reported, too.</param>
    public void Watch(PidFd process, ulong key) => _epoll.AddOnce(process, key);

    /// <summary>To be called before the pidfd is closed. An event that was taken from the kernel before is still reported.</summary>
    public void Forget(PidFd process) => _epoll.Remove(process);

    public void Dispose()
    {
        _stop.Signal();
        _thread.Join();
        _stop.Dispose();
        _epoll.Dispose();
    }

    private void Run()
    {
        Span<ulong> keys = stackalloc ulong[64];
        while (true)
        {
            int count = _epoll.Wait(keys);
            foreach (ulong key in keys[..count])
            {
                if (key == StopKey)
                {
                    return;
                }

                try
                {
                    _exited(key);
                }
                catch (Exception exception)
                {
                    // The thread must live: the leases of every other process depend on it.
                    ProcessLog.ExitFailed(_log, key, exception);
                }
            }
        }
    }
}
