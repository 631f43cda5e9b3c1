// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;

namespace BarBroker.Linux;

/// <summary>A system call that failed: which, on what, and the kernel's reason.</summary>
public sealed class LinuxException : IOException
{
    public LinuxException(string call, string target, Errno errno)
        : base($"{call} on {target}: {Marshal.GetPInvokeErrorMessage((int)errno)} ({NameOf(errno)})")
    {
        Call = call;
        Target = target;
        Errno = errno;
    }

    /// <summary>The call, in the kernel's spelling, such as <c>VFIO_DEVICE_RESET</c>.</summary>
    public string Call { get; }

    /// <summary>What it was called on, for a person to read.</summary>
    public string Target { get; }

    public Errno Errno { get; }

    /// <summary>From the calling thread's last error; to be built right after the call.</summary>
    internal static LinuxException Last(string call, string target) => new(call, target, (Errno)Marshal.GetLastPInvokeError());

    private static string NameOf(Errno errno) => Enum.IsDefined(errno) ? errno.ToString() : $"errno {(int)errno}";
}
