// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using BarBroker.Linux.Events;

namespace BarBroker.Leases;

/// <summary>
/// The dedicated thread of one device. A call that the kernel blocks holds this thread and nothing else; as a background thread it does not keep
/// the process alive either.
/// </summary>
#pragma warning disable CA1001 // The thread disposes of what it waits on, at its end.
internal sealed class DeviceThread : IDeviceExecutor
#pragma warning restore CA1001
{
    // It calls a few frames deep; there may be hundreds of devices.
    private const int StackSize = 256 * 1024;

    private readonly ConcurrentQueue<DeviceCommand> _queue = new();
    // Not a monitor: with its mutex and condition, a wake-up takes twice as many system calls and, as often as not, a second sleep for the mutex.
    private readonly EventFd _wake = new(blocking: true);
    private readonly Action<DeviceCommand> _run;

    // 1 while the thread sleeps or is about to: whoever takes it back to 0 wakes it.
    private int _idle;
    private volatile bool _isAsked;
    private volatile bool _isInCommand;

    public DeviceThread(string device, Action<DeviceCommand> run)
    {
        _run = run;
        new Thread(Loop, StackSize) { Name = $"device {device}", IsBackground = true }.Start();
    }

    public void Post(DeviceCommand command)
    {
        _queue.Enqueue(command);
        Wake();
    }

    public bool HasMore => !_queue.IsEmpty;

    public void Ask()
    {
        _isAsked = true;
        Wake();
    }

    /// <remarks>The two are read one after the other: a thread that begins a command just between them is taken for one that is in it, which it is.</remarks>
    public WorkerPulse Pulse => !_isAsked ? WorkerPulse.Answered : _isInCommand ? WorkerPulse.InCall : WorkerPulse.Silent;

    private void Wake()
    {
        // A full fence, so that either this sees the thread idle or the thread sees what it is woken for.
        if (Interlocked.Exchange(ref _idle, 0) == 1)
            _wake.Signal();
    }

    private void Loop()
    {
        while (true)
        {
            _isAsked = false;
            while (_queue.TryDequeue(out DeviceCommand command))
            {
                _isInCommand = true;
                _run(command);
                _isInCommand = false;
                _isAsked = false;
                if (command.Kind == DeviceCommandKind.Stop)
                {
                    // It is never idle again, so nobody wakes it any more.
                    _wake.Dispose();
                    return;
                }
            }

            Interlocked.Exchange(ref _idle, 1);
            if ((!_queue.IsEmpty || _isAsked) && Interlocked.Exchange(ref _idle, 0) == 1)
                continue;
            _wake.Wait();
        }
    }
}
