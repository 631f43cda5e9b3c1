// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>Why a device grants no new leases. A device has each cause at most once. The numbers are those of the wire.</summary>
internal enum CordonCause
{
    /// <summary>An operator said so; only an operator's word takes it away.</summary>
    Operator = 1,

    /// <summary>A revoke is stuck there; goes with the last stuck lease of the device, or by an operator's word.</summary>
    Stuck = 2,

    /// <summary>The device reported an error that it does not recover from by itself; goes with a reset that succeeds, or by an operator's word.</summary>
    Error = 3,
}
