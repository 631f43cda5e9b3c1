// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using BarBroker.Linux.Processes;
using BarBroker.Policy;

namespace BarBroker.Leases;

/// <summary>
/// The process that owns leases, as the kernel told it about the socket. One instance a process, however many connections it has, so that
/// reference equality is process equality.
/// </summary>
internal sealed record LeaseOwner(uint Uid, uint Gid, int Pid, string Comm) : IPolicySubject
{
    /// <summary>The supplementary groups, as they were at the connect.</summary>
    public ImmutableArray<uint> Groups { get; init; } = [];

    /// <summary>Which process it is, whatever becomes of its number.</summary>
    public ProcessIdentity Process { get; init; }

    /// <summary>Null: nothing can be read.</summary>
    public IProcessFacts? Facts { get; init; }

    public string? ReadExecutable() => Facts?.ReadExecutable();

    public string? ReadCgroup() => Facts?.ReadCgroup();

    /// <summary>Whether it is the same process of the same user, maybe with other groups since. One of which it is not known which process it is, is itself only.</summary>
    public bool IsSameProcess(LeaseOwner other) => ReferenceEquals(this, other) || (Process != default && Process == other.Process && Uid == other.Uid);

    public bool Equals(LeaseOwner? other) => ReferenceEquals(this, other);

    public override int GetHashCode() => RuntimeHelpers.GetHashCode(this);
}
