// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>
/// Told of every change, in order, after it happened; by one thread at a time. Called outside every lock, but on a thread that made a change (this one
/// or another): an observer returns at once and never throws; what takes longer it queues. The first that is told of a lease is Granted, when its ranges are
/// set aside; an acquire that fails after that is told as an end.
/// </summary>
internal interface ILeaseObserver
{
    void LeaseChanged(LeaseInfo lease);

    /// <summary>For whoever keeps records: what it takes to take the lease up again is known by now, and its ticket or buffers are about to leave the broker.</summary>
    void LeaseRecorded(LeaseInfo lease)
    {
    }

    void DeviceChanged(DeviceInfo device);
}
