// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>What came of a step. The numbers are those of the wire.</summary>
internal enum EscalationOutcome
{
    /// <summary>Under way.</summary>
    Begun = 1,

    Done = 2,

    /// <summary>Not done, on purpose; the detail says why.</summary>
    Refused = 3,

    /// <summary>Tried, and the kernel or the device would not.</summary>
    Failed = 4,
}
