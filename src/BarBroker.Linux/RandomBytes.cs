// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;
using BarBroker.Linux.Interop;

namespace BarBroker.Linux;

/// <summary>
/// Bytes that nobody can guess, straight from the kernel (getrandom(2)). The runtime's own generator would load OpenSSL for them: 3.5 MB that a daemon
/// without any other cryptography does not need.
/// </summary>
public static class RandomBytes
{
    /// <param name="count">1 to 256: so many the kernel gives at once, without being interrupted.</param>
    public static unsafe byte[] Get(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, 256);
        var bytes = new byte[count];
        // SAFETY: the array is pinned for the call, and the kernel writes at most its length.
        fixed (byte* start = bytes)
        {
            nint length;
            do
            {
                length = Libc.GetRandom(start, (nuint)count, 0);
            }
            while (length < 0 && Marshal.GetLastPInvokeError() == (int)Errno.EINTR);
            return length == count ? bytes : throw LinuxException.Last("getrandom", $"{count} bytes");
        }
    }
}
