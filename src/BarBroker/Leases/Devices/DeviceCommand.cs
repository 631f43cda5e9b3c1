// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>Work for a device thread. <paramref name="Lease"/> is null for what concerns the whole device.</summary>
internal readonly record struct DeviceCommand(DeviceCommandKind Kind, Lease? Lease = null);
