// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Policy;

namespace BarBroker.Cli.Policies;

/// <summary>A process that need not exist: what the command line says of it.</summary>
internal sealed record DescribedProcess(uint Uid, uint Gid, ImmutableArray<uint> Groups, string? Executable, string? Cgroup) : IPolicySubject
{
    public string? ReadExecutable() => Executable;

    public string? ReadCgroup() => Cgroup;
}
