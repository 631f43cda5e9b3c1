// SPDX-License-Identifier: Apache-2.0

using Grpc.Core;

namespace BarBroker.Client;

/// <summary>The broker does not do what was asked: see <see cref="BrokerException.Code"/>, and the message, which is the broker's.</summary>
public sealed class LeaseRefusedException(StatusCode code, string message, Exception? inner = null) : BrokerException(code, message, inner)
{
    /// <summary>The request's field at fault, in proto spelling such as <c>buffers[0].ranges[1].offset</c>; empty if none is.</summary>
    public string Field { get; init; } = "";

    /// <summary>The lease that is in the way, or that the error is about; empty if none is.</summary>
    public string LeaseId { get; init; } = "";

    /// <summary>The device that the error is about; empty if none is.</summary>
    public string Device { get; init; } = "";
}
