// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Policy;

/// <summary>What can only be read from a process while it lives, and may change while it does.</summary>
internal interface IProcessFacts
{
    /// <summary>The path of the program that the process runs now; null if it cannot be told for certain.</summary>
    string? ReadExecutable();

    /// <summary>The process' cgroup (v2) now, such as <c>/system.slice/nvmed.service</c>; null if it cannot be told.</summary>
    string? ReadCgroup();
}
