// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Linux.Vfio;

/// <summary>A region of a device, as the kernel describes it.</summary>
/// <param name="Size">Bytes; 0 means that the device has no such region.</param>
/// <param name="FileOffset">Where it begins in the device's file, for reads and writes.</param>
/// <param name="IsMappable">The kernel lets it be mapped: of a BAR, that it is memory, and not I/O ports.</param>
public readonly record struct VfioRegion(int Index, ulong Size, ulong FileOffset, bool IsMappable);
