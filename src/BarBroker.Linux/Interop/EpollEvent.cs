// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;

namespace BarBroker.Linux.Interop;

/// <summary><c>struct epoll_event</c>; packed on x86-64 only (sys/epoll.h, <c>__EPOLL_PACKED</c>).</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct EpollEvent
{
    public uint Events;
    public ulong Data;
}
