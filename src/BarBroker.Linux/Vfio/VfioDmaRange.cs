// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;

namespace BarBroker.Linux.Vfio;

/// <summary>A run of bytes of a region: <c>struct vfio_region_dma_range</c>. Both page-aligned, the length not zero.</summary>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct VfioDmaRange(ulong Offset, ulong Length);
