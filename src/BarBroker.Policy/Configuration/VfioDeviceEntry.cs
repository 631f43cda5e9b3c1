// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;

namespace BarBroker.Configuration;

/// <param name="Address">PCI address, such as 0000:01:00.0.</param>
/// <param name="RevokeFeatures">Numbers of the kernel's revoke feature to try; null: the built-in list, empty: none.</param>
/// <param name="MemoryAttributeFeatures">Numbers of the kernel's memory attribute feature to try; null: the built-in list, empty: none.</param>
internal sealed record VfioDeviceEntry(
    string Name,
    bool AllowSharing,
    string Address,
    ImmutableArray<int>? RevokeFeatures,
    ImmutableArray<int>? MemoryAttributeFeatures) : DeviceEntry(Name, AllowSharing);
