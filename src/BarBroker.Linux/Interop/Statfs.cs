// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;

namespace BarBroker.Linux.Interop;

/// <summary><c>struct statfs</c> of 64-bit Linux, of which only the type of the file system is read.</summary>
[StructLayout(LayoutKind.Sequential, Size = 120)]
internal struct Statfs
{
    public long Type;
}
