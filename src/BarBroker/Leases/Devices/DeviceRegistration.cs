// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;

namespace BarBroker.Leases;

/// <summary>A device to serve.</summary>
/// <param name="AllowSharing">On a device of <see cref="RevocationDomain.Device"/>: several uids at a time, with the collateral that brings.</param>
internal sealed record DeviceRegistration(IBarDevice Device, bool AllowSharing = false);
