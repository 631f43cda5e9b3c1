// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

/// <summary>Who acquires without a ticket, as on the fd socket.</summary>
internal sealed class ModelRecipient : IAcquireRecipient
{
    public Redemption? Delivered { get; private set; }

    public LeaseInfo? Before { get; private set; }

    public LeaseException? Refusal { get; private set; }

    public int Answers { get; private set; }

    public void Deliver(Redemption redemption) => (Delivered, Answers) = (redemption, Answers + 1);

    public void FetchedBefore(LeaseInfo lease) => (Before, Answers) = (lease, Answers + 1);

    public void Refuse(LeaseException refusal) => (Refusal, Answers) = (refusal, Answers + 1);
}
