// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Linux.Interop;
using Mono.Unix.Native;

namespace BarBroker.Linux;

/// <summary>The system's users and groups, and who owns a path.</summary>
public static class Users
{
    /// <summary>The number of a group, or null if the system has none of that name.</summary>
    public static uint? FindGroup(string name) => Syscall.getgrnam(name)?.gr_gid;

    /// <summary>The number of a user, or null if the system has none of that name.</summary>
    public static uint? FindUser(string name) => Syscall.getpwnam(name)?.pw_uid;

    /// <summary>The groups that the system gives a user at login, the primary one first; empty if there is no user of that name.</summary>
    public static ImmutableArray<uint> GroupsOf(string name)
    {
        if (Syscall.getpwnam(name) is not { } user)
        {
            return [];
        }

        var groups = new uint[32];
        int count = groups.Length;
        while (Find(name, user.pw_gid, groups, ref count) < 0)
        {
            // The count says how many there are (getgrouplist(3)); it may grow between two calls.
            groups = new uint[Math.Max(count, groups.Length + 1)];
            count = groups.Length;
        }

        return [.. groups.AsSpan(0, count)];
    }

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

    /// <summary>Gives a path to a user, leaving its group, and sets its permission bits.</summary>
    /// <exception cref="LinuxException">EPERM: the caller is not root. ENOENT.</exception>
    public static void SetOwnerAndMode(string path, uint user, uint mode)
    {
        if (Syscall.chown(path, user, unchecked((uint)-1)) != 0)
        {
            throw new LinuxException("chown", path, (Errno)NativeConvert.FromErrno(Stdlib.GetLastError()));
        }

        SetGroupAndMode(path, null, mode);
    }

    private static unsafe int Find(string name, uint primary, uint[] groups, ref int count)
    {
        int room = count;
        // SAFETY: the array is pinned and has as many elements as the count says; the C library changes nothing behind them.
        fixed (uint* start = groups)
        {
            int result = Libc.GetGroupList(name, primary, start, &room);
            count = room;
            return result;
        }
    }
}
