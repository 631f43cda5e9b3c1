// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using System.Runtime.InteropServices;
using BarBroker.Linux.Interop;
using static BarBroker.Linux.Interop.Constants;

namespace BarBroker.Linux.Events;

/// <summary>Waits for many descriptors on one thread (epoll(7)). Adding and removing is allowed from other threads while one waits.</summary>
public sealed class Epoll : FileDescriptor
{
    public Epoll() : base(Create())
    {
    }

    /// <summary>Reports once when the descriptor becomes readable, under <paramref name="key"/>.</summary>
    public unsafe void AddOnce(FileDescriptor file, ulong key)
    {
        var change = new EpollEvent { Events = EPOLLIN | EPOLLONESHOT, Data = key };
        Change(EPOLL_CTL_ADD, file, &change);
    }

    /// <summary>Reports every time that the descriptor is readable, under <paramref name="key"/>.</summary>
    public unsafe void Add(FileDescriptor file, ulong key)
    {
        var change = new EpollEvent { Events = EPOLLIN, Data = key };
        Change(EPOLL_CTL_ADD, file, &change);
    }

    /// <summary>Reports every time that the socket is readable or its peer is gone, under <paramref name="key"/>.</summary>
    public unsafe void Add(Socket socket, ulong key)
    {
        var change = new EpollEvent { Events = EPOLLIN, Data = key };
        Change(EPOLL_CTL_ADD, socket.SafeHandle, &change);
    }

    /// <summary>Reports once when the socket is readable or its peer is gone, under <paramref name="key"/>; then it is to be armed again.</summary>
    public unsafe void AddOnce(Socket socket, ulong key)
    {
        var change = new EpollEvent { Events = EPOLLIN | EPOLLONESHOT, Data = key };
        Change(EPOLL_CTL_ADD, socket.SafeHandle, &change);
    }

    /// <summary>For a socket of <see cref="AddOnce(Socket, ulong)"/>: reports once more, at once if there is something to be read.</summary>
    public unsafe void Arm(Socket socket, ulong key)
    {
        var change = new EpollEvent { Events = EPOLLIN | EPOLLONESHOT, Data = key };
        Change(EPOLL_CTL_MOD, socket.SafeHandle, &change);
    }

    /// <summary>Reports nothing of the socket, except a report that was taken already and the end of its peer, until it is armed.</summary>
    public unsafe void Disarm(Socket socket)
    {
        var change = new EpollEvent { Events = EPOLLONESHOT };
        Change(EPOLL_CTL_MOD, socket.SafeHandle, &change);
    }

    /// <summary>To be called before the socket is closed: a send that is under way may keep it open for a moment longer.</summary>
    public unsafe void Remove(Socket socket)
    {
        var change = default(EpollEvent);
        Change(EPOLL_CTL_DEL, socket.SafeHandle, &change);
    }

    /// <summary>To be called before the descriptor is closed, where other descriptors of the same open file live on.</summary>
    public unsafe void Remove(FileDescriptor file)
    {
        var change = default(EpollEvent);
        Change(EPOLL_CTL_DEL, file, &change);
    }

    /// <summary>Waits for at least one event, without limit, and returns how many keys were stored.</summary>
    public unsafe int Wait(Span<ulong> keys)
    {
        var events = stackalloc EpollEvent[keys.Length];
        int count;
        do
        {
            // SAFETY: the kernel stores at most keys.Length events into the array of that size.
            count = Libc.EpollWait(this, events, keys.Length, -1);
        }
        while (count < 0 && Marshal.GetLastPInvokeError() == (int)Errno.EINTR);
        if (count < 0)
        {
            throw LinuxException.Last("epoll_wait", ToString());
        }

        for (int i = 0; i < count; i++)
        {
            keys[i] = events[i].Data;
        }

        return count;
    }

    private unsafe void Change(int operation, SafeHandle file, EpollEvent* change)
    {
        // SAFETY: the kernel reads one event from the caller's local.
        if (Libc.EpollCtl(this, operation, file, change) != 0)
        {
            throw LinuxException.Last("epoll_ctl", file is FileDescriptor ? file.ToString()! : "a socket");
        }
    }

    private static int Create()
    {
        int fd = Libc.EpollCreate1(EPOLL_CLOEXEC);
        return fd >= 0 ? fd : throw LinuxException.Last("epoll_create1", "a new set");
    }
}
