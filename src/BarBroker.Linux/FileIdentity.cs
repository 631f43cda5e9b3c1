// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Interop;

namespace BarBroker.Linux;

/// <summary>Which file a path leads to: two that are equal are the same file, as long as one of them is held open (stat(2)).</summary>
public readonly record struct FileIdentity(ulong Device, ulong Inode)
{
    /// <returns>Null: there is none, or it cannot be looked at.</returns>
    public static unsafe FileIdentity? Of(string path)
    {
        Stat found;
        // SAFETY: the kernel fills the local, which is larger than its struct.
        return Libc.Stat(path, &found) == 0 ? new FileIdentity(found.Device, found.Inode) : null;
    }
}
