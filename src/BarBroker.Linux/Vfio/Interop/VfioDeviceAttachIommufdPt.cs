// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;

namespace BarBroker.Linux.Vfio.Interop;

/// <summary><c>struct vfio_device_attach_iommufd_pt</c> up to <c>pt_id</c>; later members are optional by argsz.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct VfioDeviceAttachIommufdPt
{
    public uint Argsz;
    public uint Flags;
    public uint PtId;
}
