// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;

namespace BarBroker.Linux.Vfio.Interop;

/// <summary><c>struct vfio_device_feature_dma_buf</c> (Linux 6.19), in front of its ranges.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct VfioDeviceFeatureDmaBuf
{
    public uint RegionIndex;
    public uint OpenFlags;
    public uint Flags;
    public uint NrRanges;
}
