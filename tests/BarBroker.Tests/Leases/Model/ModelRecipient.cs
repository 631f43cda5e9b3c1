// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

/// <summary>Who acquires without a ticket, as on the fd socket.</summary>
/// <param name="isTold">Whether the observers were told of the lease.</param>
internal sealed class ModelRecipient(Func<string, bool> isTold) : IAcquireRecipient
{
    /// <summary>Whoever keeps records had been told of it before the buffers left: a crash after that finds them.</summary>
    public bool IsRecorded { get; private set; }

    public Redemption? Delivered { get; private set; }

    public LeaseInfo? Before { get; private set; }

    public LeaseException? Refusal { get; private set; }

    public int Answers { get; private set; }

    public void Deliver(Redemption redemption) => (Delivered, Answers, IsRecorded) = (redemption, Answers + 1, isTold(redemption.Lease.Id));

    public void FetchedBefore(LeaseInfo lease) => (Before, Answers) = (lease, Answers + 1);

    public void Refuse(LeaseException refusal) => (Refusal, Answers) = (refusal, Answers + 1);
}
