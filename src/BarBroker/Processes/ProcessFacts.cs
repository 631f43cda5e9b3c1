// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Processes;
using BarBroker.Policy;

namespace BarBroker.Processes;

/// <summary>What a pidfd's process is, read when it is asked for; nothing once the pidfd is closed.</summary>
internal sealed class ProcessFacts(PidFd process) : IProcessFacts
{
    public string? ReadExecutable() => process.ReadExecutable();

    public string? ReadCgroup() => process.ReadCgroup();
}
