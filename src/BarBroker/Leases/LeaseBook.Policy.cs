// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Policy;

namespace BarBroker.Leases;

internal sealed partial class LeaseBook
{
    /// <summary>What of the request a policy asks for, as far as the lease still knows it.</summary>
    public static AcquireRequest RequestOf(Lease lease) => new(
        lease.Slot.Name,
        [.. lease.Buffers.Select(b => lease.NamesRanges ? new BufferRequest(b.Bar, b.Ranges) : new BufferRequest(b.Bar, [], b.Size))],
        lease.Access,
        lease.Attribute,
        null,
        null,
        ImmutableDictionary<string, string>.Empty,
        "");

    public void Reconfigure(LeaseOptions options)
    {
        using Transition _ = Enter();
        _options = options;
    }

    public ImmutableArray<Lease> Living()
    {
        lock (_lock)
            return [.. _byId.Values.Where(static l => l.IsLive).OrderBy(static l => l.Epoch)];
    }

    /// <summary>The lease goes on by these terms, but never for longer than it would have. True if by them it should have ended, and now does.</summary>
    public bool Adopt(Lease lease, LeaseTerms terms)
    {
        using Transition _ = Enter();
        if (!lease.IsLive)
            return false;
        long now = _clock.Now;
        lease.Terms = terms;
        long end = terms.MaxLifetime is { } life ? lease.GrantedAt + _clock.Units(life) : Deadline.Never;
        if (end <= now)
            return RecallLocked(lease, terms.RecallGrace, EndReason.Policy, Explain(lease, EndReason.Policy), now);
        if (end < lease.LifeDeadline)
            SetEndOfLife(lease, end);
        Requeue(lease);
        return false;
    }

    /// <summary>The policy allows the lease no longer: it is recalled, with the grace that it was granted with, or ended. False if it had ended, or ends as soon.</summary>
    public bool EndByPolicy(Lease lease, string detail)
    {
        using Transition _ = Enter();
        return RecallLocked(lease, lease.Terms.RecallGrace, EndReason.Policy, detail, _clock.Now);
    }

    private void SetEndOfLife(Lease lease, long end)
    {
        lease.LifeDeadline = end;
        lease.LifeNotice = lease.Terms.RecallGrace > TimeSpan.Zero ? end - _clock.Units(lease.Terms.RecallGrace) : Deadline.Never;
    }
}
