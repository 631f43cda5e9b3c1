// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;
using System.Text;
using BarBroker.Linux.Interop;
using static BarBroker.Linux.Interop.Constants;

namespace BarBroker.Linux.Pci;

/// <summary>Writes to sysfs in one call, write-only: many of its files may not be read, and none is made by opening.</summary>
public sealed class AttributeWriter : IAttributeWriter
{
    /// <exception cref="LinuxException">The kernel's answer.</exception>
    public unsafe void Write(string path, string text)
    {
        int fd = Libc.Open(path, O_WRONLY | O_CLOEXEC);
        using var file = fd >= 0 ? new FileDescriptor(fd) : throw LinuxException.Last("open", path);
        byte[] bytes = Encoding.ASCII.GetBytes(text);
        nint written;
        do
        {
            fixed (byte* start = bytes)
            {
                // SAFETY: the array is pinned and as long as the call is told.
                written = Libc.Write(file, start, (nuint)bytes.Length);
            }
        }
        while (written < 0 && Marshal.GetLastPInvokeError() == (int)Errno.EINTR);
        if (written < 0)
        {
            throw LinuxException.Last($"writing '{text.Trim()}'", path);
        }
    }
}
