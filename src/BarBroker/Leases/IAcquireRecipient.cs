// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>
/// Takes what an acquire gives without a ticket. Exactly one of these is called, once, unless the acquire was abandoned before: after everything that
/// happened before was told, outside every lock, on a thread that made a change. It returns at once and never throws.
/// </summary>
internal interface IAcquireRecipient
{
    /// <summary>The lease is Active and the recipient's to deliver; what happens to the lease from now on is told after this.</summary>
    void Deliver(Redemption redemption);

    /// <summary>The request id is known, and the buffers of its lease were fetched already.</summary>
    void FetchedBefore(LeaseInfo lease);

    void Refuse(LeaseException refusal);
}
