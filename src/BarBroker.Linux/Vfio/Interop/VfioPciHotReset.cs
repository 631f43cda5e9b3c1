// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;

namespace BarBroker.Linux.Vfio.Interop;

/// <summary><c>struct vfio_pci_hot_reset</c>, in front of its group descriptors.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct VfioPciHotReset
{
    public uint Argsz;
    public uint Flags;
    public uint Count;
}
