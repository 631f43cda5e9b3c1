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
        "")
    {
        Priority = lease.Terms.Priority,
        Pool = lease.Pool?.Name ?? "",
        Slot = lease.NamesRanges ? lease.PoolSlot : null,
    };

    public void Reconfigure(LeaseOptions options)
    {
        using Transition _ = Enter();
        _options = options;
        foreach (Lease stuck in _slots.Where(static s => s.StuckLeases > 0).SelectMany(static s => s.Leases).Where(static l => l.State == LeaseState.Stuck))
            Requeue(stuck);
    }

    public ImmutableArray<Lease> Living()
    {
        lock (_lock)
            return [.. _byId.Values.Where(static l => l.IsLive).OrderBy(static l => l.Epoch)];
    }

    public ImmutableArray<Waiter> WaitingNow()
    {
        lock (_lock)
            return [.. _slots.SelectMany(static s => Enumerable.Range(0, s.Waiters.Count).Select(i => s.Waiters[i])).Distinct()];
    }

    /// <summary>The waiters go on by these terms, where they are in their queues, or are refused. All at once, so that none is granted on old terms what another one leaves.</summary>
    public void Adopt(IReadOnlyList<(Waiter Waiter, LeaseTerms? Terms, LeaseException? Refusal)> decisions)
    {
        using Transition _ = Enter();
        foreach (var (waiter, terms, refusal) in decisions)
        {
            if (!waiter.Owner.Waiters.Contains(waiter))
                continue;
            waiter.Terms = terms ?? waiter.Terms;
            if (refusal is not null)
                Refuse(waiter, refusal, WaitOutcome.Refused);
            else if (Array.Find(waiter.Slots, s => !terms!.AllowsDevice(s.Name)) is { } forbidden)
                Refuse(waiter, new LeaseException(LeaseError.Denied, $"policy rule {terms!.RuleName}, which has come into force meanwhile, does not allow device {forbidden.Name}; ask again") { Field = "device", Device = forbidden.Name }, WaitOutcome.Refused);
        }

        WakeAll();
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
        Wake(lease.Slot);
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
