// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>Where a lease is in its life. The numbers are those of the wire.</summary>
internal enum LeaseState
{
    /// <summary>The range is set aside; the buffers are being exported, or the ticket is out and the fds were not fetched.</summary>
    Granted = 1,

    /// <summary>The fds were handed over.</summary>
    Active = 2,

    /// <summary>Asked back; revoked at the recall deadline.</summary>
    Recalled = 3,

    /// <summary>The end was decided; the kernel has not confirmed.</summary>
    Revoking = 4,

    /// <summary>Access is over, confirmed; the range is free.</summary>
    Ended = 5,

    /// <summary>A revoke failed or does not return; the range is quarantined.</summary>
    Stuck = 6,
}
