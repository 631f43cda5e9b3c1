// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>A refusal, for the caller to read: what happened, to what, and what to do.</summary>
internal sealed class LeaseException(LeaseError error, string message) : Exception(message)
{
    public LeaseError Error { get; } = error;

    /// <summary>The request's field at fault, in proto spelling, or empty.</summary>
    public string Field { get; init; } = "";

    /// <summary>The lease in the way, or the one that the error is about, or empty.</summary>
    public string LeaseId { get; init; } = "";

    public string Device { get; init; } = "";

    public EndReason EndReason { get; init; }
}
