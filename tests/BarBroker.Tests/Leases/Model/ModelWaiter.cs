// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

/// <summary>An acquire that the model has seen wait. Times are milliseconds.</summary>
internal sealed record ModelWaiter(string Name, AcquireRequest Request, LeaseOwner Owner, PendingCall Call, long Due)
{
    public const string Label = "waiter";

    public int Priority => Request.Priority ?? 0;

    /// <summary>In whose queues it is.</summary>
    public required int[] Devices { get; init; }

    public required ModelTerms Terms { get; set; }

    /// <summary>Something has happened that ends its wait without a lease.</summary>
    public bool MayBeRefused { get; set; }
}
