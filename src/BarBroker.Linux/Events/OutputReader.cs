// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;
using BarBroker.Linux.Interop;

namespace BarBroker.Linux.Events;

/// <summary>Who reads what this process writes to its standard output.</summary>
public static class OutputReader
{
    private const int StandardOutput = 1;

    /// <summary>
    /// Blocks until the last reader of the pipe, the socket's peer or the terminal is gone; without end where the output is a file, or was none from the start.
    /// </summary>
    /// <remarks>.NET ignores SIGPIPE, and its console drops what nobody reads without a word: a program that writes on and on does not notice otherwise.</remarks>
    /// <exception cref="LinuxException">poll(2) failed.</exception>
    public static unsafe void WaitUntilGone()
    {
        while (true)
        {
            // POLLERR and POLLHUP come without being asked for.
            var poll = new PollFd { Fd = StandardOutput };
            // SAFETY: one entry, a local.
            if (Libc.Poll(&poll, 1, -1) > 0)
            {
                return;
            }

            var errno = (Errno)Marshal.GetLastPInvokeError();
            if (errno != Errno.EINTR)
            {
                throw new LinuxException("poll", "standard output", errno);
            }
        }
    }
}
