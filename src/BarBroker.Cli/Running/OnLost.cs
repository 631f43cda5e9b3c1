// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Running;

/// <summary>What happens to the command when its lease is lost.</summary>
internal enum OnLost
{
    /// <summary>SIGTERM, and SIGKILL a while later.</summary>
    Term,

    /// <summary>SIGKILL at once.</summary>
    Kill,

    /// <summary>Nothing: it gets SIGBUS when it touches the memory.</summary>
    Ignore,
}
