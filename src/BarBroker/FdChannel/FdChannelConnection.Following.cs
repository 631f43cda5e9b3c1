// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;
using BarBroker.V1;
using Google.Protobuf.Collections;
using Grpc.Core;
using LeaseState = BarBroker.Leases.LeaseState;

namespace BarBroker.FdChannel;

internal sealed partial class FdChannelConnection
{
    private static readonly FollowResult _unknown = new()
    {
        Code = (uint)StatusCode.NotFound,
        Message = "no lease of this process has this id, or it ended long ago; GetLease tells of leases that other processes of this user acquired",
    };

    /// <summary>Leases that were delivered on another connection, also one of before a restart of the broker. On the loop's thread, as all that moves a lease from one connection to another.</summary>
    private void Follow(RepeatedField<string> leaseIds)
    {
        var answer = new Followed();
        var followed = new List<LeaseInfo>(leaseIds.Count);
        foreach (string id in leaseIds)
        {
            var lease = leases.FindOf(process.Owner, id);
            answer.Results.Add(lease is null ? _unknown : new FollowResult());
            if (lease is not null)
            {
                followed.Add(lease);
            }
        }

        logger.Follows(peer.Pid, peer.Uid, followed.Count, leaseIds.Count - followed.Count);
        Send(new FdResponse { Followed = answer });
        foreach (var lease in followed)
        {
            // What this connection has told before it was asked does not count: the client may have asked because it missed that.
            Follow(lease with { State = LeaseState.Active });
        }
    }

    /// <summary>From this state on. What happened before the following began is looked up, so that no change is missed.</summary>
    private void Follow(LeaseInfo lease)
    {
        lock (_lock)
        {
            _told[lease.Id] = lease.State;
        }

        if (server.Follow(lease.Id, this) is { } before && before != this)
        {
            before.Forget(lease.Id);
        }

        try
        {
            Notify(leases.Get(lease.Id));
        }
        catch (LeaseException)
        {
            // Ended and forgotten already.
            Notify(lease with { State = LeaseState.Ended, Remaining = null });
        }
    }

    /// <summary>The lease is told of elsewhere.</summary>
    private void Forget(string leaseId)
    {
        lock (_lock)
        {
            _told.Remove(leaseId);
            _changed.Remove(leaseId);
        }
    }
}
