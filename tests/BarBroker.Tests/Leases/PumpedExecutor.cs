// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Tests.Leases;

/// <summary>Runs the commands of a device when the test says so, on the test's thread. A device that is not pumped is one that the kernel blocks.</summary>
internal sealed class PumpedExecutor(Action<DeviceCommand> run) : IDeviceExecutor
{
    private readonly Queue<DeviceCommand> _queue = [];
    private bool _running;

    /// <summary>Called after each command.</summary>
    public Action<DeviceCommand>? Ran { get; set; }

    public int Count => _queue.Count;

    public void Post(DeviceCommand command) => _queue.Enqueue(command);

    public bool PumpOne()
    {
        // A test may come here from inside of a call to the device; its thread is busy then.
        if (_running || !_queue.TryDequeue(out DeviceCommand command))
            return false;
        _running = true;
        try
        {
            run(command);
        }
        finally
        {
            _running = false;
        }

        Ran?.Invoke(command);
        return true;
    }

    public void Pump()
    {
        while (PumpOne())
        {
        }
    }
}
