// SPDX-License-Identifier: Apache-2.0

using BarBroker.V1;

namespace BarBroker.Client;

/// <summary>The broker wants the memory back.</summary>
public sealed class LeaseRecalledEventArgs : EventArgs
{
    private readonly Action _acknowledge;

    internal LeaseRecalledEventArgs(TimeSpan remaining, EndReason reason, string detail, Action acknowledge)
    {
        Remaining = remaining;
        Reason = reason;
        Detail = detail;
        _acknowledge = acknowledge;
    }

    /// <summary>What was left, when the notice came, until the lease is revoked. Release before.</summary>
    public TimeSpan Remaining { get; }

    /// <summary>Why, as far as the broker told.</summary>
    public EndReason Reason { get; }

    /// <summary>The broker's words; may be empty.</summary>
    public string Detail { get; }

    /// <summary>
    /// Tells the broker that the application knows and will give the memory back, for operators to see. It moves no deadline, waits for nothing and does not throw. The library never does it by
    /// itself: that would say nothing about the application.
    /// </summary>
    public void Acknowledge() => _acknowledge();
}
