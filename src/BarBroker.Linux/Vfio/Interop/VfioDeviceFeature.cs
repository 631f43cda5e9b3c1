// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;

namespace BarBroker.Linux.Vfio.Interop;

/// <summary><c>struct vfio_device_feature</c>, the header in front of each payload.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct VfioDeviceFeature
{
    public uint Argsz;
    public uint Flags;
}
