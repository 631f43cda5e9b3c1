// SPDX-License-Identifier: Apache-2.0

using BarBroker.V1;

namespace BarBroker.Client;

/// <summary>The broker wants the memory back.</summary>
public sealed class LeaseRecalledEventArgs(TimeSpan remaining, EndReason reason, string detail) : EventArgs
{
    /// <summary>What was left, when the notice came, until the lease is revoked. Release before.</summary>
    public TimeSpan Remaining { get; } = remaining;

    /// <summary>Why, as far as the broker told.</summary>
    public EndReason Reason { get; } = reason;

    /// <summary>The broker's words; may be empty.</summary>
    public string Detail { get; } = detail;
}
