// SPDX-License-Identifier: Apache-2.0

using BarBroker.Configuration;
using BarBroker.Devices.Simulated;
using BarBroker.Leases;

namespace BarBroker.Hosting;

/// <summary>Makes the configured devices; none is opened yet.</summary>
internal static class DeviceFactory
{
    public static DeviceRegistration Create(DeviceEntry entry) => entry switch
    {
        SimulatedDeviceEntry simulated => new DeviceRegistration(
            new SimulatedDevice(new SimulatedDeviceOptions(simulated.Name, simulated.Bars, simulated.Domain, simulated.FaultsFile)), entry.AllowSharing),
        VfioDeviceEntry vfio => throw new StartupException($"{vfio.Name}: VFIO devices are not supported by this build."),
        _ => throw new ArgumentOutOfRangeException(nameof(entry), entry, null),
    };
}
