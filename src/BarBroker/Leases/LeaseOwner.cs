// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>
/// The process that owns leases, as the kernel told it about the socket. One instance a process, however many connections it has, so that
/// reference equality is process equality.
/// </summary>
internal sealed record LeaseOwner(uint Uid, uint Gid, int Pid, string Comm)
{
    public bool Equals(LeaseOwner? other) => ReferenceEquals(this, other);

    public override int GetHashCode() => System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(this);
}
