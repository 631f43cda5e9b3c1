// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;
using BarBroker.Telemetry;

namespace BarBroker.FdChannel;

/// <summary>One acquire of a connection, until it is answered.</summary>
internal sealed class FdAcquire(FdChannelConnection connection, string requestId) : IAcquireRecipient
{
    public string RequestId { get; } = requestId;

    /// <summary>Set and read by the loop's thread only.</summary>
    public Claim? Claim { get; set; }

    /// <summary>Null: nobody traces.</summary>
    public AcquireSpan? Span { get; init; }

    public void Deliver(Redemption redemption) => connection.Deliver(this, redemption);

    public void FetchedBefore(LeaseInfo lease) => connection.FetchedBefore(this, lease);

    public void Refuse(LeaseException refusal) => connection.Refuse(this, refusal);
}
