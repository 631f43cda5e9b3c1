// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;
using BarBroker.Linux.Interop;

namespace BarBroker.Linux.Vfio.Interop;

/// <summary>ioctl(2) that repeats after EINTR and throws with the call's name and what it was called on.</summary>
internal static unsafe class VfioIoctl
{
    internal static int Call(FileDescriptor file, uint request, void* argument, string call, string target)
    {
        int result = Try(file, request, argument);
        return result >= 0 ? result : throw LinuxException.Last(call, target);
    }

    /// <summary>The result, or -1 with the thread's last error set.</summary>
    internal static int Try(FileDescriptor file, uint request, void* argument)
    {
        int result;
        do
        {
            // SAFETY: the callers pass a structure of the layout and size that the request names, alive for the call.
            result = Libc.Ioctl(file, request, argument);
        }
        while (result < 0 && Marshal.GetLastPInvokeError() == (int)Errno.EINTR);
        return result;
    }

    internal static int Call(FileDescriptor file, uint request, nint argument, string call, string target)
    {
        int result;
        do
        {
            result = Libc.Ioctl(file, request, argument);
        }
        while (result < 0 && Marshal.GetLastPInvokeError() == (int)Errno.EINTR);
        return result >= 0 ? result : throw LinuxException.Last(call, target);
    }
}
