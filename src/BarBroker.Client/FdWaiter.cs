// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Client;

/// <summary>One ticket that was shown and not yet answered.</summary>
internal sealed class FdWaiter(LeaseRequest request, long granted) : TaskCompletionSource<Lease>(TaskCreationOptions.RunContinuationsAsynchronously)
{
    public LeaseRequest Request { get; } = request;

    /// <summary>A time stamp from before the lease was asked for.</summary>
    public long Granted { get; } = granted;
}
