// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>What the lease book knows of one process. Lives as long as its <see cref="LeaseOwner"/> does.</summary>
internal sealed class OwnerRecord(LeaseOwner owner)
{
    private Dictionary<string, Lease>? _byRequestId;

    public LeaseOwner Owner { get; } = owner;

    /// <summary>Never false again.</summary>
    public bool Exited { get; set; }

    /// <summary>Leases that have not ended.</summary>
    public HashSet<Lease> Leases { get; } = [];

    /// <summary>Its acquires that wait. Few, as policy has it.</summary>
    public HashSet<Waiter> Waiters { get; } = [];

    public Claim? FindByRequestId(string requestId)
    {
        if (requestId.Length == 0)
            return null;
        if (_byRequestId is not null && _byRequestId.TryGetValue(requestId, out Lease? lease))
            return lease;
        return Waiters.Count == 0 ? null : Waiters.FirstOrDefault(w => w.Request.RequestId == requestId);
    }

    public void RememberRequestId(Lease lease)
    {
        if (lease.RequestId.Length > 0)
            (_byRequestId ??= [])[lease.RequestId] = lease;
    }

    public void ForgetRequestId(Lease lease)
    {
        if (lease.RequestId.Length > 0)
            _byRequestId?.Remove(lease.RequestId);
    }
}
