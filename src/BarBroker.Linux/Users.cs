// SPDX-License-Identifier: Apache-2.0

using Mono.Unix.Native;

namespace BarBroker.Linux;

/// <summary>The system's users and groups, and who owns a path.</summary>
public static class Users
{
    /// <summary>The number of a group, or null if the system has none of that name.</summary>
    public static uint? FindGroup(string name) => Syscall.getgrnam(name)?.gr_gid;

    /// <summary>The number of a user, or null if the system has none of that name.</summary>
    public static uint? FindUser(string name) => Syscall.getpwnam(name)?.pw_uid;

    /// <summary>The effective user.</summary>
    public static uint EffectiveUid => Syscall.geteuid();

    /// <summary>Gives a path to a group and sets its permission bits, such as 0o660.</summary>
    /// <exception cref="LinuxException">EPERM: the caller is neither root nor in the group. ENOENT.</exception>
    public static void SetGroupAndMode(string path, uint? group, uint mode)
    {
        if (group is { } gid && Syscall.chown(path, unchecked((uint)-1), gid) != 0)
        {
            throw new LinuxException("chown", path, (Errno)NativeConvert.FromErrno(Stdlib.GetLastError()));
        }

        if (Syscall.chmod(path, NativeConvert.ToFilePermissions(mode)) != 0)
        {
            throw new LinuxException("chmod", path, (Errno)NativeConvert.FromErrno(Stdlib.GetLastError()));
        }
    }
}
