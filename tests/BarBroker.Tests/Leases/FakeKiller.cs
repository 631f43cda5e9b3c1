// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Leases;

namespace BarBroker.Tests.Leases;

/// <summary>Kills nobody: answers what the test says, or when it says so.</summary>
internal sealed class FakeKiller : IClientKiller
{
    /// <summary>Who was to be killed, and what of, in order.</summary>
    public List<(LeaseOwner Owner, int Buffers)> Asked { get; } = [];

    /// <summary>Null: the answer is left to <see cref="Done"/>.</summary>
    public (EscalationOutcome Outcome, string Detail)? Answer { get; set; } = (EscalationOutcome.Done, "killed");

    public Func<bool>? IsStillStuck { get; private set; }

    public Action<EscalationOutcome, string>? Done { get; private set; }

    public void Kill(LeaseOwner owner, ImmutableArray<ExportedBuffer> buffers, Func<bool> isStillStuck, Action<EscalationOutcome, string> done)
    {
        Asked.Add((owner, buffers.Length));
        IsStillStuck = isStillStuck;
        Done = done;
        if (Answer is { } answer)
            done(answer.Outcome, answer.Detail);
    }
}
