// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using BarBroker.Linux.Interop;
using Mono.Unix.Native;
using static BarBroker.Linux.Interop.Constants;

namespace BarBroker.Linux.Sockets;

/// <summary>Packets with file descriptors over <c>SOCK_SEQPACKET</c> Unix sockets (unix(7), SCM_RIGHTS). The one place that uses Mono.Unix for it.</summary>
public static class FdSocket
{
    /// <summary>The kernel's limit of descriptors a packet (<c>SCM_MAX_FD</c>, net/scm.h).</summary>
    public const int MaxFiles = 253;

    public static Socket Create() => new(AddressFamily.Unix, SocketType.Seqpacket, ProtocolType.Unspecified);

    /// <summary>Sends one packet with descriptors, or nothing at all. Never blocks and never raises SIGPIPE.</summary>
    /// <returns>False when the peer's queue is full (EAGAIN).</returns>
    /// <exception cref="LinuxException">EPIPE or ECONNRESET: the peer is gone. EMSGSIZE: the packet is larger than the socket's buffer.</exception>
    public static unsafe bool TrySend(Socket socket, ReadOnlySpan<byte> data, ReadOnlySpan<FileDescriptor> files)
    {
        int held = 0;
        try
        {
            byte[]? control = null;
            if (files.Length > 0)
            {
                control = new byte[(int)Syscall.CMSG_SPACE((ulong)(files.Length * sizeof(int)))];
                foreach (var file in files)
                {
                    bool added = false;
                    file.DangerousAddRef(ref added);
                    held++;
                }
            }

            // SAFETY: the data is pinned for the call and the vector never reaches past it.
            fixed (byte* start = data)
            {
                var message = new Msghdr
                {
                    msg_iov = [new Iovec { iov_base = (nint)start, iov_len = (ulong)data.Length }],
                    msg_iovlen = 1,
                    msg_control = control,
                    msg_controllen = control?.Length ?? 0,
                };
                if (control is not null)
                {
                    WriteRights(message, files);
                }

                return Sent(socket, message);
            }
        }
        finally
        {
            for (int i = 0; i < held; i++)
            {
                files[i].DangerousRelease();
            }
        }
    }

    /// <summary>Receives one packet without waiting. Descriptors beyond <paramref name="maxFiles"/> are closed by the kernel.</summary>
    /// <returns>Null when nothing is there (EAGAIN). A packet of length 0 without files is the end of the connection, or an empty packet: seqpacket sockets do not tell them apart.</returns>
    public static unsafe ReceivedPacket? TryReceive(Socket socket, Span<byte> buffer, int maxFiles)
    {
        var control = new byte[(int)Syscall.CMSG_SPACE((ulong)(Math.Max(maxFiles, 1) * sizeof(int)))];
        // SAFETY: the buffer is pinned for the call and the vector never reaches past it.
        fixed (byte* start = buffer)
        {
            var message = new Msghdr
            {
                msg_iov = [new Iovec { iov_base = (nint)start, iov_len = (ulong)buffer.Length }],
                msg_iovlen = 1,
                msg_control = control,
                msg_controllen = control.Length,
            };
            using var use = new HandleUse(socket.SafeHandle);
            long length;
            Mono.Unix.Native.Errno errno;
            do
            {
                length = Syscall.recvmsg(use.Number, message, MessageFlags.MSG_DONTWAIT | MessageFlags.MSG_CMSG_CLOEXEC);
                errno = length < 0 ? Stdlib.GetLastError() : 0;
            }
            while (errno == Mono.Unix.Native.Errno.EINTR);
            if (errno == Mono.Unix.Native.Errno.EAGAIN)
            {
                return null;
            }

            if (length < 0)
            {
                throw new LinuxException("recvmsg", "a Unix socket", (Errno)NativeConvert.FromErrno(errno));
            }

            // Own what came before anything can throw.
            var files = ReadRights(message);
            bool truncated = (message.msg_flags & (MessageFlags.MSG_TRUNC | MessageFlags.MSG_CTRUNC)) != 0;
            return new ReceivedPacket((int)length, truncated, files);
        }
    }

    /// <summary>Waits until a packet, or the end of the connection, is there, and receives it.</summary>
    public static async ValueTask<ReceivedPacket> ReceiveAsync(Socket socket, Memory<byte> buffer, int maxFiles, CancellationToken cancellation)
    {
        while (true)
        {
            await WaitReadableAsync(socket, cancellation).ConfigureAwait(false);
            if (TryReceive(socket, buffer.Span, maxFiles) is { } packet)
            {
                return packet;
            }
        }
    }

    /// <summary>Waits until a packet, or the end of the connection, is there. A caller that waits long needs no buffer meanwhile.</summary>
    public static async ValueTask WaitReadableAsync(Socket socket, CancellationToken cancellation)
    {
        // A receive of zero bytes completes when something is there and consumes nothing.
        await socket.ReceiveAsync(Memory<byte>.Empty, SocketFlags.None, cancellation).ConfigureAwait(false);
    }

    /// <summary>Whether the peer is gone.</summary>
    public static unsafe bool HasHungUp(Socket socket)
    {
        using var use = new HandleUse(socket.SafeHandle);
        var poll = new PollFd { Fd = use.Number };
        // SAFETY: one entry, a local.
        return Libc.Poll(&poll, 1, 0) > 0 && (poll.ReturnedEvents & POLLHUP) != 0;
    }

    private static bool Sent(Socket socket, Msghdr message)
    {
        using var use = new HandleUse(socket.SafeHandle);
        while (Syscall.sendmsg(use.Number, message, MessageFlags.MSG_DONTWAIT | MessageFlags.MSG_NOSIGNAL) < 0)
        {
            var errno = Stdlib.GetLastError();
            if (errno == Mono.Unix.Native.Errno.EAGAIN)
            {
                return false;
            }

            if (errno != Mono.Unix.Native.Errno.EINTR)
            {
                throw new LinuxException("sendmsg", "a Unix socket", (Errno)NativeConvert.FromErrno(errno));
            }
        }

        return true;
    }

    private static void WriteRights(Msghdr message, ReadOnlySpan<FileDescriptor> files)
    {
        var header = new Cmsghdr
        {
            cmsg_len = (long)Syscall.CMSG_LEN((ulong)(files.Length * sizeof(int))),
            cmsg_level = UnixSocketProtocol.SOL_SOCKET,
            cmsg_type = UnixSocketControlMessage.SCM_RIGHTS,
        };
        header.WriteToBuffer(message, 0);
        int offset = (int)Syscall.CMSG_DATA(message, 0);
        foreach (var file in files)
        {
            BitConverter.TryWriteBytes(message.msg_control.AsSpan(offset), (int)file.DangerousGetHandle());
            offset += sizeof(int);
        }
    }

    private static ImmutableArray<FileDescriptor> ReadRights(Msghdr message)
    {
        var files = ImmutableArray<FileDescriptor>.Empty;
        for (long offset = Syscall.CMSG_FIRSTHDR(message); offset != -1; offset = Syscall.CMSG_NXTHDR(message, offset))
        {
            var header = Cmsghdr.ReadFromBuffer(message, offset);
            if (header.cmsg_level != UnixSocketProtocol.SOL_SOCKET || header.cmsg_type != UnixSocketControlMessage.SCM_RIGHTS)
            {
                continue;
            }

            int data = (int)Syscall.CMSG_DATA(message, offset);
            int length = (int)(header.cmsg_len - (data - offset));
            foreach (int fd in MemoryMarshal.Cast<byte, int>(message.msg_control.AsSpan(data, length)))
            {
                files = files.Add(new FileDescriptor(fd));
            }
        }

        return files;
    }
}
