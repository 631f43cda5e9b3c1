// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Linux.Pci;

/// <summary>Something that a driver has made of a device.</summary>
/// <param name="Directory">Where it is in sysfs.</param>
/// <param name="Subsystem">Such as block, net, drm, vfio-dev.</param>
/// <param name="Name">Such as nvme0n1p2 or eth0.</param>
/// <param name="NodeName">Its file below /dev, such as nvme0n1p2 or dri/card0; null if it has none.</param>
/// <param name="Number">Major and minor of that file, such as 259:2; null if it has none.</param>
public sealed record DeviceNode(string Directory, string Subsystem, string Name, string? NodeName, string? Number);
