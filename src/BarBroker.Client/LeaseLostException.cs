// SPDX-License-Identifier: Apache-2.0

using BarBroker.V1;
using Grpc.Core;

namespace BarBroker.Client;

/// <summary>The lease is over, and with it the access to its memory.</summary>
public sealed class LeaseLostException(string leaseId, EndReason reason, string message, Exception? inner = null)
    : BrokerException(StatusCode.FailedPrecondition, message, inner)
{
    public string LeaseId { get; } = leaseId;

    /// <summary>Why it ended; unspecified when the memory was found gone before the broker's notice came.</summary>
    public EndReason Reason { get; } = reason;

    /// <summary>Bytes that a copy had moved before the memory was gone. The device may have seen some more of a write.</summary>
    public ulong Copied { get; init; }
}
