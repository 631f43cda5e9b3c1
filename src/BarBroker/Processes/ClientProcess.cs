// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;
using BarBroker.Linux.Processes;

namespace BarBroker.Processes;

/// <summary>A process that is, or was a moment ago, connected or holds leases. Changed only by its <see cref="ClientRegistry"/>, under that one's lock.</summary>
internal sealed class ClientProcess(ulong key, ClientIdentity identity, LeaseOwner owner, PidFd process)
{
    /// <summary>What the process watcher knows it by; never reused.</summary>
    public ulong Key { get; } = key;

    public ClientIdentity Identity { get; } = identity;

    public LeaseOwner Owner { get; } = owner;

    public PidFd Process { get; } = process;

    /// <summary>Connections, calls under way, and leases that have not ended. At 0 the process is forgotten.</summary>
    public int References { get; set; }

    /// <summary>Somebody holds the pidfd while no broker runs. Changed only by the thread that tells of leases.</summary>
    public bool IsKept { get; set; }

    /// <summary>Exited, or forgotten: no longer in the registry, and the pidfd closed.</summary>
    public bool IsGone { get; set; }
}
