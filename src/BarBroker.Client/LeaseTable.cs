// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using System.Collections.Immutable;
using BarBroker.Linux;

namespace BarBroker.Client;

/// <summary>The leases of a client that are not known to be over, by id. The fd channel tells it what came.</summary>
internal sealed class LeaseTable(BrokerClient client, TimeProvider time)
{
    private readonly ConcurrentDictionary<string, Lease> _leases = new(StringComparer.Ordinal);

    public TimeProvider Time { get; } = time;

    public EventQueue Events { get; } = new();

    public ICollection<Lease> Leases => _leases.Values;

    public Lease? Find(string id) => _leases.GetValueOrDefault(id);

    public void Remove(Lease lease) => _leases.TryRemove(lease.Id, out _);

    /// <summary>Called under the channel's receive lock, so that the notices behind the delivery find the lease.</summary>
    public Lease Delivered(FdChannel channel, V1.Lease message, ImmutableArray<FileDescriptor> files, FdWaiter waiter)
    {
        var lease = new Lease(client, message, files, new LeaseClock(Time, message, waiter), channel);
        _leases[lease.Id] = lease;
        client.KeepAlive.Added(lease);
        return lease;
    }

    /// <summary>Nobody waits for this lease any more: it is given back.</summary>
    public void Abandoned(Lease lease) => Events.Post(lease.DisposeAsync);

    public void Notice(V1.Lease message)
    {
        if (Find(message.Id) is { } lease)
        {
            lease.Update(message);
        }
    }

    /// <summary>No notices come any more for the leases of this channel: unless another channel has them soon, the broker is asked.</summary>
    public void Disconnected(FdChannel channel)
    {
        foreach (var lease in Leases)
        {
            if (lease.Channel == channel)
            {
                lease.Clock.Unfollowed(Time.GetTimestamp());
            }
        }

        client.KeepAlive.Wake();
        client.Follower.Wake();
    }
}
