// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Leases;
using BarBroker.Linux.Processes;

namespace BarBroker.Processes;

/// <summary>What makes two connections those of one client: the process, and who it was at the connect. A process that has changed its user or groups since is another client.</summary>
internal readonly record struct ClientIdentity(ProcessIdentity Process, uint Uid, uint Gid, string Groups)
{
    public static ClientIdentity Of(ProcessIdentity process, PeerCredentials peer, ImmutableArray<uint> groups) => new(process, peer.Uid, peer.Gid, string.Join(',', groups));

    public static ClientIdentity Of(LeaseOwner owner) => new(owner.Process, owner.Uid, owner.Gid, string.Join(',', owner.Groups));
}
