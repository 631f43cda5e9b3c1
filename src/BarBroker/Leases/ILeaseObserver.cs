// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>
/// Told of every change, in order, after it happened. Called outside every lock but on the thread that made the change: an observer returns at once
/// and never throws; what takes longer it queues.
/// </summary>
internal interface ILeaseObserver
{
    void LeaseChanged(LeaseInfo lease);

    void DeviceChanged(DeviceInfo device);
}
