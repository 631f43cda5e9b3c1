// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;
using BarBroker.Linux.Interop;
using static BarBroker.Linux.Interop.Constants;

namespace BarBroker.Linux.Events;

/// <summary>A counter that the kernel or another thread signals (eventfd(2)).</summary>
public sealed class EventFd : FileDescriptor
{
    /// <param name="blocking">For <see cref="Wait"/>; else nothing here ever waits.</param>
    public EventFd(bool blocking = false) : base(Create(blocking))
    {
    }

    /// <summary>Adds one to the count; a full counter stays as it is.</summary>
    public unsafe void Signal()
    {
        ulong one = 1;
        // SAFETY: eight bytes of a local are written from.
        if (Libc.Write(this, &one, sizeof(ulong)) < 0 && Marshal.GetLastPInvokeError() != (int)Errno.EAGAIN)
        {
            throw LinuxException.Last("write", $"event{this}");
        }
    }

    /// <summary>Takes the count and sets it to zero; zero if nothing was signalled.</summary>
    public unsafe ulong Drain()
    {
        ulong count = 0;
        // SAFETY: eight bytes of a local are read into.
        if (Libc.Read(this, &count, sizeof(ulong)) > 0)
        {
            return count;
        }

        return Marshal.GetLastPInvokeError() == (int)Errno.EAGAIN ? 0ul : throw LinuxException.Last("read", $"event{this}");
    }

    /// <summary>Waits until it is signalled, and sets the count to zero; one system call. For an event that was made blocking.</summary>
    public unsafe void Wait()
    {
        ulong count;
        // SAFETY: eight bytes of a local are read into.
        while (Libc.Read(this, &count, sizeof(ulong)) < 0)
        {
            if (Marshal.GetLastPInvokeError() != (int)Errno.EINTR)
            {
                throw LinuxException.Last("read", $"event{this}");
            }
        }
    }

    private static int Create(bool blocking)
    {
        int fd = Libc.EventFd(0, EFD_CLOEXEC | (blocking ? 0 : EFD_NONBLOCK));
        return fd >= 0 ? fd : throw LinuxException.Last("eventfd", "a new event");
    }
}
