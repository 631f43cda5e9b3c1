// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;

namespace BarBroker.Leases;

/// <summary>A device to serve.</summary>
/// <param name="AllowSharing">On a device of <see cref="RevocationDomain.Device"/>: several uids at a time, with the collateral that brings.</param>
internal sealed record DeviceRegistration(IBarDevice Device, bool AllowSharing = false)
{
    /// <summary>How long leases are recalled for when the kernel asks for the device, which waits meanwhile. Zero: they are revoked at once.</summary>
    public TimeSpan RequestGrace { get; init; } = TimeSpan.FromSeconds(5);
}
