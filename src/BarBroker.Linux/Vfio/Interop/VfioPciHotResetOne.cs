// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;

namespace BarBroker.Linux.Vfio.Interop;

/// <summary><c>struct vfio_pci_hot_reset</c> with one group; the cdev way passes it with a count of 0.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct VfioPciHotResetOne
{
    public uint Argsz;
    public uint Flags;
    public uint Count;
    public int GroupFd;
}
