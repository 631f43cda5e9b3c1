// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;

namespace BarBroker.Linux.Vfio.Interop;

/// <summary><c>struct vfio_irq_set</c>, in front of its data.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct VfioIrqSet
{
    public uint Argsz;
    public uint Flags;
    public uint Index;
    public uint Start;
    public uint Count;
}
