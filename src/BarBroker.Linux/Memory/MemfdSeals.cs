// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Linux.Memory;

/// <summary>What nobody can do any more to a memfd (<c>F_SEAL_*</c>, linux/fcntl.h).</summary>
[Flags]
public enum MemfdSeals
{
    None = 0,
    Seal = 1,
    Shrink = 2,
    Grow = 4,
    Write = 8,

    /// <summary>No writable mapping or write from now on; writable mappings made before keep working.</summary>
    FutureWrite = 16,
    Exec = 32,
}
