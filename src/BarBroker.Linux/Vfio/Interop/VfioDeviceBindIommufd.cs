// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;

namespace BarBroker.Linux.Vfio.Interop;

/// <summary><c>struct vfio_device_bind_iommufd</c> up to <c>out_devid</c>; later members are optional by argsz.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct VfioDeviceBindIommufd
{
    public uint Argsz;
    public uint Flags;
    public int Iommufd;
    public uint OutDevid;
}
