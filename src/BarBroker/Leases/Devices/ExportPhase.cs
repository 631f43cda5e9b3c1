// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>How far the buffers of a lease are. Decides what it takes to prove that access is over.</summary>
internal enum ExportPhase
{
    /// <summary>The device thread has not begun: nothing is accessible, ending needs no proof.</summary>
    Queued,

    /// <summary>The device thread is in the kernel: what it made is known, and can be revoked, only when it returns.</summary>
    Running,

    /// <summary><see cref="Lease.Exported"/> is what there is.</summary>
    Done,
}
