// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

/// <summary>An acquire that the model has seen wait. Times are milliseconds.</summary>
internal sealed record ModelWaiter(string Name, AcquireRequest Request, LeaseOwner Owner, long Since, long Due)
{
    public const string Label = "waiter";

    public int Priority => Request.Priority ?? 0;

    /// <summary>All with the same request id.</summary>
    public List<PendingCall> Calls { get; } = [];

    /// <summary>In whose queues it is.</summary>
    public required int[] Devices { get; init; }

    public required ModelTerms Terms { get; set; }

    /// <summary>Something has happened that ends its wait without a lease.</summary>
    public bool MayBeRefused { get; set; }

    /// <summary>Its buffer may be on what other readers have.</summary>
    public bool Shares(int buffer) => ModelPools.IsReadOnly(Request) && Request.Buffers[buffer].Size == 0;

    public bool Equals(ModelWaiter? other) => ReferenceEquals(this, other);

    public override int GetHashCode() => Name.GetHashCode(StringComparison.Ordinal);
}
