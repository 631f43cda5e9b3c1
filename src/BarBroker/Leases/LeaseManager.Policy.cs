// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Policy;
using BarBroker.Pools;

namespace BarBroker.Leases;

/// <content>What the policy says: of a request, and, when another one is applied, of all that lives and waits.</content>
internal sealed partial class LeaseManager
{
    /// <summary>Other bounds and rules for what is granted from now on: what waits goes on by them, or is refused. What lives is left as it is.</summary>
    public void Reconfigure(LeaseOptions options)
    {
        _options = options;
        _policy = new LeasePolicy(options);
        _book.Reconfigure(options);
        Redecide(_book.WaitingNow());
    }

    /// <summary>
    /// Decides anew about every living lease by the policy in force: what it does not allow ends (Policy), after the grace that the lease was granted with, and the rest
    /// lives no longer than the new terms say. Quotas take nothing away. Returns how many leases end.
    /// </summary>
    public int ApplyPolicy()
    {
        _applied = _policy;
        return _book.Living().Count(ApplyPolicy);
    }

    private LeaseTerms Admit(ref AcquireRequest request, LeaseOwner owner)
    {
        try
        {
            request = PoolRequest.Resolve(request, _pools);
            AcquireValidator.Check(request);
            LeaseTerms terms = _policy.Decide(request, owner);
            _rates.Take(owner.Uid, terms);
            return terms;
        }
        catch (LeaseException refusal)
        {
            Metrics.Refused(refusal);
            throw;
        }
    }

    /// <summary>
    /// A policy that came between the decision and the registration may have decided about all others before this one was there: then that is done here. (It is seen here,
    /// because it was set before the book's lock was taken to list what waits or lives.)
    /// </summary>
    private void AfterRegistering(Claim claim, LeaseTerms terms)
    {
        if (terms.Policy == _policy)
            return;
        if (claim is Waiter waiter)
            Redecide([waiter]);
        else if (_applied == _policy)
            ApplyPolicy((Lease)claim);
    }

    /// <summary>How many living leases a policy would not grant to their owners any more.</summary>
    public int CountForbidden(LeaseOptions options)
    {
        var policy = new LeasePolicy(options);
        return _book.Living().Count(IsForbidden);

        bool IsForbidden(Lease lease)
        {
            try
            {
                policy.Decide(LeaseBook.RequestOf(lease), lease.Owner.Owner);
                return false;
            }
            catch (LeaseException)
            {
                return true;
            }
        }
    }

    private void Redecide(ImmutableArray<Waiter> waiters)
    {
        var decisions = new List<(Waiter, LeaseTerms?, LeaseException?)>(waiters.Length);
        foreach (Waiter waiter in waiters)
        {
            try
            {
                decisions.Add((waiter, _policy.Decide(waiter.Request, waiter.Owner.Owner), null));
            }
            catch (LeaseException refusal)
            {
                decisions.Add((waiter, null, refusal));
            }
        }

        _book.Adopt(decisions);
    }

    /// <summary>What a policy asks of a process is read here, outside of the book's lock.</summary>
    private bool ApplyPolicy(Lease lease)
    {
        try
        {
            return _book.Adopt(lease, _policy.Decide(LeaseBook.RequestOf(lease), lease.Owner.Owner));
        }
        catch (LeaseException refusal)
        {
            return _book.EndByPolicy(lease, refusal.Message);
        }
    }
}
