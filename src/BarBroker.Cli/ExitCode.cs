// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli;

/// <summary>What barctl exits with; <c>barctl run</c> passes its command's status on instead.</summary>
internal static class ExitCode
{
    public const int Done = 0;
    public const int Failed = 1;
    public const int Usage = 2;
    public const int Unreachable = 3;
    public const int NotFound = 4;
    public const int Denied = 5;
    public const int Stuck = 6;

    /// <summary>As shells and env(1) have it: the command is there and cannot be executed.</summary>
    public const int CannotExecute = 126;

    /// <summary>As shells and env(1) have it: there is no such command.</summary>
    public const int CommandNotFound = 127;

    /// <summary>Plus the signal's number.</summary>
    public const int Signal = 128;
}
