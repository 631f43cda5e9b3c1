// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

/// <summary>An acquire that was not refused at once: one that wants a ticket, or one that wants the buffers.</summary>
internal sealed record PendingCall(Task<Grant>? Task, CancellationTokenSource? Cancel, ModelRecipient? Recipient = null, Claim? Claim = null)
{
    /// <summary>What the acquire was refused with. It must have been.</summary>
    public LeaseException Refusal()
    {
        if (Task is { } task)
            return Assert.ThrowsAny<LeaseException>(() => LeaseFixture.Wait(task));
        Assert.Equal(1, Recipient!.Answers);
        return Assert.IsType<LeaseException>(Recipient.Refusal);
    }
}
