// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

/// <summary>Who looks whether a process holds on to a stuck lease: answers when the history says so.</summary>
internal sealed class ModelKiller : IClientKiller
{
    /// <summary>How often it was asked for a process.</summary>
    public int Asked { get; private set; }

    /// <summary>What it has not answered yet.</summary>
    public List<(LeaseOwner Owner, Action<EscalationOutcome, string> Done)> Open { get; } = [];

    public void Kill(LeaseOwner owner, ImmutableArray<ExportedBuffer> buffers, Func<bool> isStillStuck, Action<EscalationOutcome, string> done)
    {
        Asked++;
        Assert.NotEmpty(buffers);
        Open.Add((owner, done));
    }
}
