// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using System.Runtime.InteropServices;
using BarBroker.Linux.Interop;
using static BarBroker.Linux.Interop.Constants;

namespace BarBroker.Linux.Processes;

/// <summary>A process, whatever becomes of its number (pidfd_open(2)). Readable once the process has ended.</summary>
public sealed class PidFd : FileDescriptor
{
    private PidFd(int fd, int pid) : base(fd) => Pid = pid;

    /// <summary>The number that the process had when this was opened.</summary>
    public int Pid { get; }

    /// <exception cref="LinuxException">ESRCH: no such process.</exception>
    public static PidFd Open(int pid)
    {
        nint fd = Libc.Syscall(SYS_pidfd_open, pid, 0, 0, 0);
        return fd >= 0 ? new PidFd((int)fd, pid) : throw LinuxException.Last("pidfd_open", $"process {pid}");
    }

    /// <summary>
    /// The process that connected the socket. Before Linux 6.5 (no <c>SO_PEERPIDFD</c>) it is found by its number, and believed only if the
    /// peer still holds the connection afterwards.
    /// </summary>
    /// <exception cref="LinuxException">ESRCH: the process is gone.</exception>
    public static unsafe PidFd OfPeer(Socket socket)
    {
        var peer = PeerCredentials.Of(socket);
        int fd;
        uint length = sizeof(int);
        // SAFETY: the kernel writes one int into the local.
        if (Libc.GetSockOpt(socket.SafeHandle, SOL_SOCKET, SO_PEERPIDFD, &fd, &length) == 0)
        {
            return new PidFd(fd, peer.Pid);
        }

        var errno = (Errno)Marshal.GetLastPInvokeError();
        return errno == Errno.ENOPROTOOPT ? OpenChecked(socket, peer.Pid) : throw new LinuxException("getsockopt(SO_PEERPIDFD)", $"the peer, process {peer.Pid}", errno);
    }

    /// <summary>Whether the process has ended.</summary>
    public unsafe bool HasExited()
    {
        var poll = new PollFd { Fd = Number, Events = POLLIN };
        // SAFETY: one entry, a local.
        return Libc.Poll(&poll, 1, 0) > 0;
    }

    /// <exception cref="LinuxException">ESRCH: the process has ended. EPERM.</exception>
    public void SendSignal(int signal)
    {
        if (Libc.Syscall(SYS_pidfd_send_signal, Number, signal, 0, 0) != 0)
        {
            throw LinuxException.Last("pidfd_send_signal", ToString());
        }
    }

    public override string ToString() => $"process {Pid}";

    private static PidFd OpenChecked(Socket socket, int pid)
    {
        var process = Open(pid);
        if (!HasHungUp(socket) && !process.HasExited())
        {
            return process;
        }

        process.Dispose();
        throw new LinuxException("pidfd_open", $"process {pid}", Errno.ESRCH);
    }

    private static unsafe bool HasHungUp(Socket socket)
    {
        var poll = new PollFd { Fd = (int)socket.Handle };
        // SAFETY: one entry, a local.
        return Libc.Poll(&poll, 1, 0) > 0 && (poll.ReturnedEvents & POLLHUP) != 0;
    }
}
