// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Hosting;

/// <summary>What the daemon's exit status says (sysexits.h).</summary>
internal static class ExitCodes
{
    public const int Done = 0;

    /// <summary>EX_SOFTWARE: ended by a fault of its own.</summary>
    public const int Failed = 70;

    /// <summary>EX_CANTCREAT, EX_NOPERM and the like: the sockets, the lock or the state cannot be had.</summary>
    public const int Unavailable = 69;

    /// <summary>EX_CONFIG: the configuration has faults.</summary>
    public const int Configuration = 78;
}
