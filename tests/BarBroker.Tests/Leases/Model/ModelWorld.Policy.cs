// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

internal sealed partial class ModelWorld
{
    private static bool NamesRanges(AcquireRequest request) => request.Buffers.Any(static b => b.Size == 0);

    /// <summary>What the rules of <see cref="Options"/> and <see cref="Strict"/> come to.</summary>
    private ModelTerms TermsOf(LeaseOwner owner) => (_strict, owner.Uid == ShortUid) switch
    {
        (false, false) => new ModelTerms(ModelLease.Never, 1_000, Options.MaxLeasesPerUid),
        (false, true) => new ModelTerms(12_000, 3_000, 5),
        (true, false) => new ModelTerms(ModelLease.Never, 1_000, Options.MaxLeasesPerUid, NotDevice: 1, SizedOnly: true),
        (true, true) => new ModelTerms(6_000, 0, 3),
    };

    /// <summary>Another policy. Applied or not, it decides about all that comes; what lives hears of it only if it is applied.</summary>
    private void Reload(bool apply)
    {
        _strict = !_strict;
        Manager.Reconfigure(_strict ? Strict : Options);
        if (!apply)
            return;
        foreach (ModelLease lease in _leases.Where(static l => l.Live))
            ExpectPolicy(lease, TermsOf(lease.Owner));
        foreach (ModelWaiter waiter in _waiters)
        {
            waiter.Terms = TermsOf(waiter.Owner);
            waiter.MayBeRefused |= waiter.Devices.Any(d => waiter.Terms.Refuses(d, NamesRanges(waiter.Request)));
        }

        Manager.ApplyPolicy();
    }

    private void ExpectPolicy(ModelLease lease, ModelTerms terms)
    {
        if (terms.Refuses(lease.Device, lease.NamesRanges))
        {
            ExpectEndByPolicy(lease, lease.Grace);
            return;
        }

        lease.Grace = terms.Grace;
        long end = terms.Life == ModelLease.Never ? ModelLease.Never : lease.GrantedAt + terms.Life;
        if (end <= _now)
            ExpectEndByPolicy(lease, terms.Grace);
        else if (end < lease.LifeDeadline)
            SetEndOfLife(lease, end);
    }

    private void ExpectEndByPolicy(ModelLease lease, long grace)
    {
        if (grace == 0)
            lease.MustEnd(EndReason.Policy);
        else
            ExpectRecall(lease, grace, EndReason.Policy);
    }

    private static void SetEndOfLife(ModelLease lease, long end)
    {
        lease.LifeDeadline = end;
        lease.LifeNotice = lease.Grace > 0 ? end - lease.Grace : ModelLease.Never;
    }

    /// <summary>What time does, before it ends anything: a lease whose lifetime is over soon is recalled for then.</summary>
    private void Announce(ModelLease lease)
    {
        if (lease.LifeNotice > _now)
            return;
        lease.LifeNotice = ModelLease.Never;
        ExpectRecall(lease, Math.Max(0, lease.LifeDeadline - _now), EndReason.Policy);
    }
}
