// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Binding;

/// <summary>Where the system is looked at and changed; other places only in tests.</summary>
internal sealed record SystemRoots(string Sys, string Proc, string Dev, string Etc)
{
    public static SystemRoots Real { get; } = new("/sys", "/proc", "/dev", "/etc");
}
