// SPDX-License-Identifier: Apache-2.0

using Grpc.Core;

namespace BarBroker.Client;

/// <summary>A call to the broker that failed, with what the broker said about it.</summary>
public class BrokerException(StatusCode code, string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>The gRPC status.</summary>
    public StatusCode Code { get; } = code;
}
