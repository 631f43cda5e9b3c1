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

    public DeviceThread(string device, Action<DeviceCommand> run)
    {
        _run = run;
        new Thread(Loop, StackSize) { Name = $"device {device}", IsBackground = true }.Start();
    }

    public void Post(DeviceCommand command)
    {
        _queue.Enqueue(command);
        // A full fence, so that either this sees the thread idle or the thread sees the command.
        if (Interlocked.Exchange(ref _idle, 0) == 0)
            return;
        _wake.Signal();
    }

    private void Loop()
    {
        while (true)
        {
            while (_queue.TryDequeue(out DeviceCommand command))
            {
                _run(command);
                if (command.Kind == DeviceCommandKind.Stop)
                {
                    // It is never idle again, so nobody wakes it any more.
                    _wake.Dispose();
                    return;
                }
            }

            Interlocked.Exchange(ref _idle, 1);
            if (!_queue.IsEmpty && Interlocked.Exchange(ref _idle, 0) == 1)
                continue;
            _wake.Wait();
        }
    }
}
