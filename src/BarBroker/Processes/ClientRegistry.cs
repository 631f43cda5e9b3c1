// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using BarBroker.Leases;
using BarBroker.Linux;
using BarBroker.Linux.Processes;

namespace BarBroker.Processes;

/// <summary>
/// One <see cref="LeaseOwner"/> a process, for as long as the process lives and has connections, calls under way or leases. What the kernel says
/// about the end of a process goes from here to the leases.
/// </summary>
internal sealed class ClientRegistry : ILeaseObserver, IDisposable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<ClientIdentity, ClientProcess> _byIdentity = [];
    private readonly Dictionary<LeaseOwner, ClientProcess> _byOwner = [];
    private readonly Dictionary<ulong, ClientProcess> _byKey = [];
    private readonly Action<LeaseOwner> _exited;
    private readonly ProcessWatcher _watcher;
    private readonly IDescriptorKeeper? _keeper;
    private ulong _lastKey;

    /// <param name="exited">Told once for each process that ended while it was known; on the watcher's thread.</param>
    /// <param name="keeper">Holds the pidfds of those that have leases while no broker runs; null: nobody does.</param>
    public ClientRegistry(Action<LeaseOwner> exited, ILogger<ClientRegistry> log, IDescriptorKeeper? keeper = null)
    {
        _keeper = keeper;
        _exited = exited;
        _watcher = new ProcessWatcher(Exited, log);
    }

    /// <summary>Processes that are watched now.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _byKey.Count;
            }
        }
    }

    /// <summary>Who connected the socket. Each call is to be matched by one <see cref="Release"/>.</summary>
    /// <exception cref="LinuxException">The process is gone already (ESRCH), or cannot be watched.</exception>
    public ClientProcess Connected(Socket socket)
    {
        var peer = PeerCredentials.Of(socket);
        var process = PidFd.OfPeer(socket);
        try
        {
            if (process.HasExited())
            {
                throw new LinuxException("SO_PEERPIDFD", $"process {peer.Pid}", Errno.ESRCH);
            }

            var groups = PeerCredentials.GroupsOf(socket);
            var identity = ClientIdentity.Of(process.GetIdentity(), peer, groups);
            string comm = process.ReadName();
            lock (_gate)
            {
                if (_byIdentity.TryGetValue(identity, out var known))
                {
                    known.References++;
                    process.Dispose();
                    return known;
                }

                var owner = new LeaseOwner(peer.Uid, peer.Gid, peer.Pid, comm) { Groups = groups, Process = identity.Process, Facts = new ProcessFacts(process) };
                var client = new ClientProcess(++_lastKey, identity, owner, process) { References = 1 };
                Add(client);
                return client;
            }
        }
        catch
        {
            process.Dispose();
            throw;
        }
    }

    /// <summary>A process that has leases of an earlier run. One that has ended since is told as such before this returns.</summary>
    /// <param name="owner">As it was written down.</param>
    /// <param name="kept">Its pidfd, if one was kept. Owned by the registry from now on. Without one the process is looked for by its number, and believed if it is the same.</param>
    /// <param name="leases">How many of its leases will be told to have ended.</param>
    public LeaseOwner Restored(LeaseOwner owner, FileDescriptor? kept, int leases)
    {
        var process = Find(owner, kept);
        if (process is null)
        {
            if (kept is not null)
            {
                _keeper?.Drop(KeptName.OfClient(owner.Process));
            }

            _exited(owner);
            return owner;
        }

        owner = owner with { Facts = new ProcessFacts(process) };
        ClientProcess client;
        lock (_gate)
        {
            client = new ClientProcess(++_lastKey, ClientIdentity.Of(owner), owner, process) { References = leases, IsKept = kept is not null };
            if (client.IsKept)
            {
                _keeper?.Join(KeptName.OfClient(owner.Process));
            }

            Add(client);
        }

        Keep(client);
        return owner;
    }

    /// <summary>Keeps the process watched during a call that may grant a lease. Each call is to be matched by one <see cref="Release"/>.</summary>
    public void Hold(ClientProcess client)
    {
        lock (_gate)
        {
            client.References++;
        }
    }

    public void Release(ClientProcess client)
    {
        lock (_gate)
        {
            if (--client.References > 0 || client.IsGone)
            {
                return;
            }

            _watcher.Forget(client.Process);
            Remove(client);
        }

        Drop(client);
    }

    /// <summary>The process of an owner; null if it has ended or is not watched. It may be closed at any time.</summary>
    public PidFd? Find(LeaseOwner owner)
    {
        lock (_gate)
        {
            return _byOwner.TryGetValue(owner, out var client) ? client.Process : null;
        }
    }

    /// <summary>A lease holds its process until it has ended.</summary>
    public void LeaseChanged(LeaseInfo lease)
    {
        if (lease.State is not (LeaseState.Granted or LeaseState.Ended))
        {
            return;
        }

        ClientProcess? client;
        lock (_gate)
        {
            _byOwner.TryGetValue(lease.Owner, out client);
        }

        if (client is null)
        {
            if (lease.State == LeaseState.Granted)
            {
                // Nobody watches its process any more: fail closed. Not on this thread, which is in the middle of the grant.
                ThreadPool.UnsafeQueueUserWorkItem(_exited, lease.Owner, preferLocal: false);
            }
        }
        else if (lease.State == LeaseState.Granted)
        {
            Hold(client);
            Keep(client);
        }
        else
        {
            Release(client);
        }
    }

    public void DeviceChanged(DeviceInfo device)
    {
    }

    /// <summary>Stops watching, and waits for the watcher's thread.</summary>
    public void Dispose()
    {
        _watcher.Dispose();
        lock (_gate)
        {
            foreach (var client in _byKey.Values.ToArray())
            {
                Remove(client);
            }
        }
    }

    private void Exited(ulong key)
    {
        ClientProcess? client;
        lock (_gate)
        {
            // Forgotten between the event and now: nothing of it is left that could end.
            if (!_byKey.TryGetValue(key, out client))
            {
                return;
            }

            _watcher.Forget(client.Process);
            Remove(client);
        }

        _exited(client.Owner);
        Drop(client);
    }

    /// <summary>Changes are told one at a time, so it is kept once.</summary>
    private void Keep(ClientProcess client)
    {
        if (_keeper is null || client.IsKept)
        {
            return;
        }

        string name = KeptName.OfClient(client.Owner.Process);
        bool isKept;
        try
        {
            isKept = _keeper.Keep(name, [client.Process]);
        }
        catch (ObjectDisposedException)
        {
            // It has ended meanwhile.
            return;
        }

        lock (_gate)
        {
            if (!client.IsGone)
            {
                client.IsKept = isKept;
                return;
            }
        }

        // Whoever removed it did not know that it was kept.
        if (isKept)
        {
            _keeper.Drop(name);
        }
    }

    /// <summary>The same process may have come again meanwhile, as another client, and be kept for that one: whoever keeps counts them.</summary>
    private void Drop(ClientProcess client)
    {
        if (client.IsKept)
        {
            _keeper?.Drop(KeptName.OfClient(client.Owner.Process));
        }
    }

    private static PidFd? Find(LeaseOwner owner, FileDescriptor? kept)
    {
        PidFd? process = null;
        try
        {
            process = kept is null ? PidFd.Open(owner.Pid) : PidFd.Adopt(kept, owner.Pid);
            if (process.GetIdentity() == owner.Process && !process.HasExited())
            {
                return process;
            }
        }
        catch (Exception exception) when (exception is IOException)
        {
            // No process of that number, or no pidfd: the one that is looked for has ended.
        }

        process?.Dispose();
        kept?.Dispose();
        return null;
    }

    private void Add(ClientProcess client)
    {
        _watcher.Watch(client.Process, client.Key);
        _byKey.Add(client.Key, client);
        _byIdentity.Add(client.Identity, client);
        _byOwner.Add(client.Owner, client);
    }

    private void Remove(ClientProcess client)
    {
        client.IsGone = true;
        _byKey.Remove(client.Key);
        _byOwner.Remove(client.Owner);
        _byIdentity.Remove(client.Identity);
        client.Process.Dispose();
    }
}
