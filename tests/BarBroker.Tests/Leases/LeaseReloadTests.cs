// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;
using BarBroker.Policy;
using static BarBroker.Tests.Leases.LeaseFixture;

namespace BarBroker.Tests.Leases;

/// <summary>Another policy while leases live.</summary>
public sealed class LeaseReloadTests
{
    private static readonly PolicyMatch Uid1000 = PolicyMatch.Everybody with { Users = [new NamedId(1000, "")] };

    [Fact]
    public void Reconfigure_OtherBounds_HoldForWhatIsAskedFromThenOn()
    {
        using var f = new LeaseFixture();
        LeaseInfo old = f.Active(Sized(Page));

        f.Manager.Reconfigure(new LeaseOptions { MaxTtl = TimeSpan.FromSeconds(5), DefaultTtl = TimeSpan.FromSeconds(5), MaxLeasesPerUid = 2, TicketTtl = TimeSpan.FromSeconds(3) });

        Grant grant = f.Acquire(Sized(Page));
        Assert.Equal((TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(3)), (grant.Lease.Ttl, grant.TicketTtl));
        Assert.Equal(LeaseError.Quota, f.Refused(Sized(Page)).Error);
        Assert.Equal(new Renewal(TimeSpan.FromSeconds(30), LeaseState.Active, EndReason.None), f.Manager.Renew(old.Id, 1000, 0));
    }

    [Fact]
    public void Reconfigure_PolicyDenies_LivingLeasesStay()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(Sized(Page));

        f.Manager.Reconfigure(Rules());

        Assert.Equal(LeaseError.Denied, f.Refused(Sized(Page)).Error);
        f.Pass(TimeSpan.FromSeconds(20));
        Assert.Equal(LeaseState.Active, f.Manager.Renew(lease.Id, 1000, 0).State);
    }

    [Fact]
    public void Reconfigure_PolicyDenies_WhatWaitsIsRefused()
    {
        using var f = new LeaseFixture();
        LeaseInfo holder = f.Active(Explicit(Pages(0, 1)));
        Task<Grant> denied = LeaseWaitTests.Begin(f, Explicit(Pages(0, 1)));
        Task<Grant> allowed = LeaseWaitTests.Begin(f, Explicit(Pages(0, 1)), Owner(1001));

        f.Manager.Reconfigure(Rules(new PolicyRule("r", PolicyMatch.Everybody with { Users = [new NamedId(1001, "")] }, Lease: new LeaseRule())));
        f.Pump();

        Assert.Equal(LeaseError.Denied, LeaseWaitTests.Refusal(denied).Error);
        Assert.False(allowed.IsCompleted);
        f.Manager.End(holder.Id, EndReason.Operator, "");
        f.Pump();
        Assert.Equal("r", Wait(allowed).Lease.PolicyRule);
    }

    [Fact]
    public void ApplyPolicy_NotAllowedAnyMore_EndsAndTheRestStays()
    {
        using var f = new LeaseFixture();
        LeaseInfo stays = f.Active(Sized(Page));
        LeaseInfo named = f.Active(Explicit(Pages(8, 1)));
        LeaseInfo other = f.Active(Sized(Page), Owner(1001));
        f.Manager.Reconfigure(Rules(new PolicyRule("r", Uid1000, Lease: new LeaseRule { ExplicitRanges = false })));

        Assert.Equal(2, f.Manager.ApplyPolicy());

        Assert.Equal((LeaseState.Active, "r"), (f.Get(stays.Id).State, f.Get(stays.Id).PolicyRule));
        Assert.Equal((EndReason.Policy, "policy rule r does not allow explicit ranges; ask for a size"), (f.Get(named.Id).EndReason, f.Get(named.Id).EndDetail));
        Assert.Equal(EndReason.Policy, f.Get(other.Id).EndReason);
        Assert.Equal(0, f.Manager.ApplyPolicy());
    }

    [Fact]
    public void ApplyPolicy_LeaseWasGrantedWithGrace_IsRecalled()
    {
        using var f = new LeaseFixture(Rules(new PolicyRule("old", Uid1000, Lease: new LeaseRule { RecallGrace = TimeSpan.FromSeconds(5) })));
        LeaseInfo lease = f.Active(Sized(Page));
        f.Manager.Reconfigure(Rules(new PolicyRule("new", Uid1000, IsDenial: true, DenialText: "closed")));

        Assert.Equal(1, f.Manager.ApplyPolicy());

        Assert.Equal((LeaseState.Recalled, TimeSpan.FromSeconds(5)), (f.Get(lease.Id).State, f.Get(lease.Id).RecallRemaining));
        f.Pass(TimeSpan.FromSeconds(5));
        Assert.Equal((EndReason.Policy, "policy rule new refuses uid 1000: closed"), (f.Get(lease.Id).EndReason, f.Get(lease.Id).EndDetail));
    }

    [Fact]
    public void ApplyPolicy_ShorterLifetime_CountsFromTheGrant()
    {
        using var f = new LeaseFixture();
        LeaseInfo young = f.Active(Sized(Page));
        f.Manager.Reconfigure(Rules(new PolicyRule("r", Uid1000, Lease: new LeaseRule { MaxLifetime = TimeSpan.FromSeconds(15) })));
        f.Pass(TimeSpan.FromSeconds(10));

        Assert.Equal(0, f.Manager.ApplyPolicy());
        f.Pass(TimeSpan.FromSeconds(4.75));
        Assert.Equal(LeaseState.Active, f.Get(young.Id).State);
        f.Pass(TimeSpan.FromSeconds(0.25));

        Assert.Equal(EndReason.Policy, f.Get(young.Id).EndReason);
    }

    [Fact]
    public void ApplyPolicy_OlderThanTheLifetime_EndsAfterTheGrace()
    {
        using var f = new LeaseFixture();
        LeaseInfo old = f.Active(Sized(Page));
        f.Pass(TimeSpan.FromSeconds(20));
        f.Manager.Reconfigure(Rules(new PolicyRule("r", Uid1000, Lease: new LeaseRule { MaxLifetime = TimeSpan.FromSeconds(15), RecallGrace = TimeSpan.FromSeconds(2) })));

        Assert.Equal(1, f.Manager.ApplyPolicy());

        Assert.Equal((LeaseState.Recalled, TimeSpan.FromSeconds(2)), (f.Get(old.Id).State, f.Get(old.Id).RecallRemaining));
    }

    [Fact]
    public void ApplyPolicy_WhileAnAcquireIsBeingDecided_NothingLivesThatIsNotAllowed()
    {
        // The subject is looked at in the middle of the decision: there the policy changes and is applied.
        using var f = new LeaseFixture(Rules(new PolicyRule("r", PolicyMatch.Everybody with { Executables = ["/x"] }, Lease: new LeaseRule())));
        LeaseOwner owner = Owner() with { Facts = new Facts(() => { f.Manager.Reconfigure(Rules()); f.Manager.ApplyPolicy(); }) };

        LeaseException refusal = f.Refused(Sized(Page), owner);

        Assert.Equal((LeaseError.Ended, EndReason.Policy), (refusal.Error, refusal.EndReason));
        Assert.Empty(f.Manager.List(LeaseFilter.All));
    }

    private static LeaseOptions Rules(params PolicyRule[] rules) => new() { Rules = [.. rules] };

    private sealed class Facts(Action onRead) : IProcessFacts
    {
        public string? ReadExecutable()
        {
            onRead();
            return "/x";
        }

        public string? ReadCgroup() => null;
    }
}
