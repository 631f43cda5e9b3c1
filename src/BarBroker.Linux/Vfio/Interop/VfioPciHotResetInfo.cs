// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;

namespace BarBroker.Linux.Vfio.Interop;

/// <summary><c>struct vfio_pci_hot_reset_info</c> without its devices.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct VfioPciHotResetInfo
{
    public uint Argsz;
    public uint Flags;
    public uint Count;
}
