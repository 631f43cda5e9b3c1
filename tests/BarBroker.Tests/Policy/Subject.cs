// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Policy;

namespace BarBroker.Tests.Policy;

/// <summary>A caller that counts how often it is looked at.</summary>
internal sealed record Subject(uint Uid = 1000, string? Executable = null, string? Cgroup = null) : IPolicySubject
{
    public uint Gid { get; init; } = 1000;

    public ImmutableArray<uint> Groups { get; init; } = [];

    public int Reads { get; private set; }

    public string? ReadExecutable()
    {
        Reads++;
        return Executable;
    }

    public string? ReadCgroup()
    {
        Reads++;
        return Cgroup;
    }
}
