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

    public Lease? FindByRequestId(string requestId) =>
        requestId.Length > 0 && _byRequestId is not null && _byRequestId.TryGetValue(requestId, out Lease? lease) ? lease : null;

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
