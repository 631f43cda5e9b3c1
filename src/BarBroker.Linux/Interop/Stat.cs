// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;

namespace BarBroker.Linux.Interop;

/// <summary>The beginning of <c>struct stat</c> of 64-bit Linux, with room for the rest on every architecture.</summary>
[StructLayout(LayoutKind.Sequential, Size = 256)]
internal struct Stat
{
    public ulong Device;
    public ulong Inode;
}
