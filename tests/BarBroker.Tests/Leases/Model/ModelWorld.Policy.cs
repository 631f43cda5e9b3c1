// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

internal sealed partial class ModelWorld
{
    private static bool NamesRanges(AcquireRequest request) => request.Buffers.Any(static b => b.Size == 0);

    /// <summary>What the rules of <see cref="Options"/> and <see cref="Strict"/> come to.</summary>
    private ModelTerms TermsOf(LeaseOwner owner) => (_isStrict, owner.Uid == ShortUid) switch
    {
        (false, false) => new ModelTerms("rest", ModelLease.Never, 1_000, Options.MaxLeasesPerUid, MaxHang: 15_000),
        (false, true) => new ModelTerms("short", 12_000, 3_000, 5, MinHang: 2_000),
        (true, false) => new ModelTerms("rest", ModelLease.Never, 0, Options.MaxLeasesPerUid, NotDevice: 1, SizedOnly: true),
        (true, true) => new ModelTerms("short", 6_000, 0, 3),
    };

    /// <summary>A bucket that holds as many as may come at once; false if it is empty. Only one user has one, the same by both policies.</summary>
    private bool TakeRate(LeaseOwner owner)
    {
        if (owner.Uid != ShortUid)
            return true;
        _rate = Math.Min(Burst * 1000 / PerSecond, _rate + _now - _rateAt);
        _rateAt = _now;
        if (_rate < 1000 / PerSecond)
        {
            _tally.Count(Deed.RateLimited);
            return false;
        }

        _rate -= 1000 / PerSecond;
        return true;
    }

    /// <summary>Another policy. Applied or not, it decides about all that comes or waits; what lives hears of it only if it is applied.</summary>
    private void Reload(bool apply)
    {
        _isStrict = !_isStrict;
        foreach (ModelLease lease in _leases.Where(l => apply && l.Live))
            ExpectPolicy(lease, TermsOf(lease.Owner));
        foreach (ModelWaiter waiter in _waiters)
        {
            waiter.Terms = TermsOf(waiter.Owner);
            waiter.MayBeRefused |= waiter.Devices.Any(d => waiter.Terms.Refuses(d, NamesRanges(waiter.Request)));
        }

        _isApplying = true;
        Manager.Reconfigure(_isStrict ? Strict : Options);
        if (apply)
            Manager.ApplyPolicy();
        Reconcile();
        _isApplying = false;
    }

    private void ExpectPolicy(ModelLease lease, ModelTerms terms)
    {
        if (terms.Refuses(lease.Device, lease.NamesRanges))
        {
            ExpectEndByPolicy(lease, lease.Grace);
            return;
        }

        lease.Grace = terms.Grace;
        lease.Rule = terms.Rule;
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
        _tally.Count(Deed.EndOfLifeAnnounced);
    }
}
