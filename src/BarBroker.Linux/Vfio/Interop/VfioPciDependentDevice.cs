// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;

namespace BarBroker.Linux.Vfio.Interop;

/// <summary><c>struct vfio_pci_dependent_device</c>. The first field is a union: the group, or a device id of an iommufd.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct VfioPciDependentDevice
{
    public uint GroupId;
    public ushort Segment;
    public byte Bus;
    public byte Devfn;
}
