// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>What is done about a stuck lease, from the mildest on. The numbers are those of the wire.</summary>
internal enum EscalationStep
{
    Notify = 1,
    Cordon = 2,
    Kill = 3,
    Reset = 4,
}
