// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Tests.Leases;

/// <summary>Runs the commands of a device when the test says so, on the test's thread. A device that is not pumped is one that the kernel blocks.</summary>
internal sealed class PumpedExecutor(Action<DeviceCommand> run) : IDeviceExecutor
{
    private readonly Queue<DeviceCommand> _queue = [];

    public int Count => _queue.Count;

    public void Post(DeviceCommand command) => _queue.Enqueue(command);

    public bool PumpOne()
    {
        if (!_queue.TryDequeue(out DeviceCommand command))
            return false;
        run(command);
        return true;
    }

    public void Pump()
    {
        while (PumpOne())
        {
        }
    }
}
