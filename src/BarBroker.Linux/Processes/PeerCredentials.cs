// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using BarBroker.Linux.Interop;
using static BarBroker.Linux.Interop.Constants;

namespace BarBroker.Linux.Processes;

/// <summary>Who connected a Unix socket, as the kernel noted it at that moment (<c>SO_PEERCRED</c>, unix(7)).</summary>
/// <param name="Pid">In the caller's pid namespace; 0 if the peer has no number there.</param>
public readonly record struct PeerCredentials(int Pid, uint Uid, uint Gid)
{
    public static PeerCredentials Of(Socket socket)
    {
        Span<int> credentials = stackalloc int[3];
        int length = socket.GetRawSocketOption(SOL_SOCKET, SO_PEERCRED, MemoryMarshal.AsBytes(credentials));
        return length == 3 * sizeof(int)
            ? new PeerCredentials(credentials[0], (uint)credentials[1], (uint)credentials[2])
            : throw new LinuxException("getsockopt(SO_PEERCRED)", "a Unix socket", Errno.EINVAL);
    }

    /// <summary>The supplementary groups that the peer had when it connected (<c>SO_PEERGROUPS</c>, Linux 4.13); the primary one need not be among them.</summary>
    public static unsafe ImmutableArray<uint> GroupsOf(Socket socket)
    {
        // NGROUPS_MAX is 65536; nearly everybody has a few. With too little room the kernel answers ERANGE and how much it takes.
        var groups = new uint[32];
        while (true)
        {
            uint length = (uint)groups.Length * sizeof(uint);
            // SAFETY: the kernel writes at most as many bytes as the length says into the pinned array, and the length into the local.
            fixed (uint* start = groups)
            {
                if (Libc.GetSockOpt(socket.SafeHandle, SOL_SOCKET, SO_PEERGROUPS, start, &length) == 0)
                {
                    return [.. groups.AsSpan(0, (int)(length / sizeof(uint)))];
                }
            }

            var errno = (Errno)Marshal.GetLastPInvokeError();
            if (errno != Errno.ERANGE || length <= groups.Length * sizeof(uint))
            {
                throw new LinuxException("getsockopt(SO_PEERGROUPS)", "a Unix socket", errno);
            }

            groups = new uint[length / sizeof(uint)];
        }
    }
}
