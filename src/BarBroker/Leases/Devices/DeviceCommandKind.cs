// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

internal enum DeviceCommandKind
{
    /// <summary>Make the buffers of a lease.</summary>
    Export,

    /// <summary>End the access to the buffers of a lease, one by one.</summary>
    Revoke,

    /// <summary>Close the device, which ends the access to everything, and open it again unless the broker shuts down.</summary>
    Recycle,

    /// <summary>Take up what an earlier run has left of the device, in the place of the first <see cref="Recycle"/>.</summary>
    Restore,

    /// <summary>Dispose of the device; the last command.</summary>
    Stop,
}
