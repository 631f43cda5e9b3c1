// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;

namespace BarBroker.Leases;

/// <summary>Ends the process that owns a stuck lease, if it is seen to be the one that holds on.</summary>
internal interface IClientKiller
{
    /// <summary>Returns at once and never throws. Nothing is killed unless the process is seen to hold one of the buffers.</summary>
    /// <param name="isStillStuck">Asked right before the signal.</param>
    /// <param name="done">Called once, on another thread.</param>
    void Kill(LeaseOwner owner, ImmutableArray<ExportedBuffer> buffers, Func<bool> isStillStuck, Action<EscalationOutcome, string> done);
}
