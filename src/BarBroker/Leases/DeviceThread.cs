// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;

namespace BarBroker.Leases;

/// <summary>
/// The dedicated thread of one device. A call that the kernel blocks holds this thread and nothing else; as a background thread it does not keep
/// the process alive either.
/// </summary>
internal sealed class DeviceThread : IDeviceExecutor
{
    // It calls a few frames deep; there may be hundreds of devices.
    private const int StackSize = 256 * 1024;

    private readonly ConcurrentQueue<DeviceCommand> _queue = new();
    private readonly object _gate = new();
    private readonly Action<DeviceCommand> _run;

    // 1 while the thread sleeps or is about to: whoever takes it back to 0 wakes it.
    private int _idle;
    private bool _signaled;

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
        lock (_gate)
        {
            _signaled = true;
            Monitor.Pulse(_gate);
        }
    }

    private void Loop()
    {
        while (true)
        {
            while (_queue.TryDequeue(out DeviceCommand command))
            {
                _run(command);
                if (command.Kind == DeviceCommandKind.Stop)
                    return;
            }

            Interlocked.Exchange(ref _idle, 1);
            if (!_queue.IsEmpty && Interlocked.Exchange(ref _idle, 0) == 1)
                continue;
            lock (_gate)
            {
                while (!_signaled)
                    Monitor.Wait(_gate);
                _signaled = false;
            }
        }
    }
}
