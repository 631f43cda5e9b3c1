// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>How the wait of an acquire ended.</summary>
internal enum WaitOutcome
{
    Granted,

    /// <summary>It had waited for as long as it wanted to.</summary>
    TimedOut,

    /// <summary>Its caller, or the caller's process, is gone.</summary>
    Cancelled,

    /// <summary>The device turned out to be unfit, or the broker shuts down.</summary>
    Refused,
}
