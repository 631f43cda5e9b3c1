// SPDX-License-Identifier: Apache-2.0

using BarBroker.V1;

namespace BarBroker.Client;

/// <summary>A lease ended without having been released.</summary>
public sealed class LeaseLostEventArgs(EndReason reason, string detail) : EventArgs
{
    public EndReason Reason { get; } = reason;

    /// <summary>The broker's words about the reason; may be empty.</summary>
    public string Detail { get; } = detail;
}
