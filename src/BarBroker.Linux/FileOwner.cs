// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Processes;
using Mono.Unix.Native;

namespace BarBroker.Linux;

/// <summary>Whose a file is, and who may read and write it.</summary>
/// <param name="Mode">The permission bits, such as 0o660.</param>
public sealed record FileOwner(uint Uid, uint Gid, uint Mode)
{
    /// <summary>Null if it is not there or may not be looked at.</summary>
    public static FileOwner? Of(string path) =>
        Syscall.stat(path, out var status) == 0 ? new FileOwner(status.st_uid, status.st_gid, NativeConvert.FromFilePermissions(status.st_mode & FilePermissions.ALLPERMS)) : null;

    /// <summary>Whether the bits let it read and write; access control lists and security modules are not looked at.</summary>
    public bool Allows(ProcessCredentials who)
    {
        const uint readAndWrite = 0b110;
        int shift = who.Uid == Uid ? 6 : who.Groups.Contains(Gid) ? 3 : 0;
        return who.Uid == 0 || ((Mode >> shift) & readAndWrite) == readAndWrite;
    }

    /// <summary>Such as <c>uid 0, gid 986, mode 660</c>.</summary>
    public override string ToString() => $"uid {Uid}, gid {Gid}, mode {Convert.ToString(Mode, 8)}";
}
