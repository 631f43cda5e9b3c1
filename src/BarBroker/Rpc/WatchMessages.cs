// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;
using BarBroker.Wire;

namespace BarBroker.Rpc;

/// <summary>Events as the two watch calls send them. Setting a oneof to null would make it unset again, so only what is there is set.</summary>
internal static class WatchMessages
{
    public static V1.WatchEvent With(this V1.WatchEvent message, LeaseInfo? lease, DeviceInfo? device)
    {
        if (lease is not null)
        {
            message.Lease = lease.ToWire();
        }
        else if (device is not null)
        {
            message.Device = device.ToWire();
        }

        return message;
    }

    public static V1.WatchLeasesResponse With(this V1.WatchLeasesResponse message, LeaseInfo? lease, DeviceInfo? device)
    {
        if (lease is not null)
        {
            message.Lease = lease.ToWire();
        }
        else if (device is not null)
        {
            message.Device = device.ToWire();
        }

        return message;
    }
}
