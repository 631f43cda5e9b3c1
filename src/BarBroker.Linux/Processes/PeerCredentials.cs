// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using System.Runtime.InteropServices;
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
}
