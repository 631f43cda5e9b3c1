// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Grpc.Core;

namespace BarBroker.Telemetry;

/// <summary>Counts answered calls by method and status code.</summary>
internal sealed class RpcMetrics : IDisposable
{
    private readonly Meter _meter = new(LeaseMetrics.MeterName);
    private readonly Counter<long> _calls;
    private readonly ConcurrentDictionary<string, string> _methods = new(StringComparer.Ordinal);

    public RpcMetrics() => _calls = _meter.CreateCounter<long>("barbroker.rpc.calls", description: "gRPC calls that were answered, by method and status code.");

    /// <param name="method">As gRPC names it: /package.Service/Method. There are as many as the services have, whatever clients send.</param>
    public void Answered(string method, StatusCode code)
    {
        string name = _methods.GetOrAdd(method, static method => method[1..]);
        _calls.Add(1, new("method", name), new("code", Name(code)));
    }

    public void Dispose() => _meter.Dispose();

    /// <summary>As the protocol spells it.</summary>
    private static string Name(StatusCode code) => code switch
    {
        StatusCode.OK => "OK",
        StatusCode.Cancelled => "CANCELLED",
        StatusCode.InvalidArgument => "INVALID_ARGUMENT",
        StatusCode.DeadlineExceeded => "DEADLINE_EXCEEDED",
        StatusCode.NotFound => "NOT_FOUND",
        StatusCode.PermissionDenied => "PERMISSION_DENIED",
        StatusCode.ResourceExhausted => "RESOURCE_EXHAUSTED",
        StatusCode.FailedPrecondition => "FAILED_PRECONDITION",
        StatusCode.Unimplemented => "UNIMPLEMENTED",
        StatusCode.Internal => "INTERNAL",
        StatusCode.Unavailable => "UNAVAILABLE",
        _ => "OTHER",
    };
}
