// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>Work for a device thread. <paramref name="Lease"/> is null for what concerns the whole device.</summary>
/// <param name="Scrubbed">Of an export: how many bytes of the lease were scrubbed.</param>
/// <param name="Generation">Of the device, when they were.</param>
internal readonly record struct DeviceCommand(DeviceCommandKind Kind, Lease? Lease = null, ulong Scrubbed = 0, int Generation = 0);
