// SPDX-License-Identifier: Apache-2.0

using BarBroker.Configuration;
using BarBroker.Devices;
using BarBroker.Devices.Simulated;
using BarBroker.Devices.Vfio;
using BarBroker.Leases;

namespace BarBroker.Hosting;

/// <summary>Makes the configured devices; none is opened yet.</summary>
internal static class DeviceFactory
{
    /// <param name="entry">What the configuration says of it.</param>
    /// <param name="revokeTimeout">How long a revoke may take before its lease is called stuck.</param>
    public static DeviceRegistration Create(DeviceEntry entry, TimeSpan revokeTimeout) =>
        new(Device(entry, revokeTimeout), entry.AllowSharing) { RequestGrace = entry.RequestGrace };

    private static IBarDevice Device(DeviceEntry entry, TimeSpan revokeTimeout) => entry switch
    {
        SimulatedDeviceEntry simulated => new SimulatedDevice(new SimulatedDeviceOptions(simulated.Name, simulated.Bars, simulated.Domain, simulated.FaultsFile)),
        VfioDeviceEntry vfio => new VfioDevice(Options(vfio, revokeTimeout)),
        _ => throw new ArgumentOutOfRangeException(nameof(entry), entry, null),
    };

    private static VfioDeviceOptions Options(VfioDeviceEntry entry, TimeSpan revokeTimeout)
    {
        var options = new VfioDeviceOptions(entry.Name, entry.Address);
        return options with
        {
            RevokePatience = revokeTimeout,
            RevokeFeatures = entry.RevokeFeatures ?? options.RevokeFeatures,
            MemoryAttributeFeatures = entry.MemoryAttributeFeatures ?? options.MemoryAttributeFeatures,
        };
    }
}
