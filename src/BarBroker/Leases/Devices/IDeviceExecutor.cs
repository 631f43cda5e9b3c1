// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>
/// Runs the commands of one device one at a time, in order: a thread of its own in production, a pump in the model test.
/// </summary>
internal interface IDeviceExecutor
{
    /// <summary>Queues a command and returns at once. Called under the lease book's lock.</summary>
    void Post(DeviceCommand command);

    /// <summary>Commands wait. On the device's own thread.</summary>
    bool HasMore => false;

    /// <summary>Wants a sign of life, which <see cref="Pulse"/> tells of later. From any thread; it returns at once.</summary>
    void Ask()
    {
    }

    /// <summary>Since the last <see cref="Ask"/>.</summary>
    WorkerPulse Pulse => WorkerPulse.Answered;
}
