// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace BarBroker.Wire;

/// <summary>Refusals as status codes and messages.</summary>
internal static class ErrorWire
{
    /// <summary>
    /// Messages name what the request named, and travel in HTTP/2 trailers, percent-encoded and once more in the details: a long one would pass what clients
    /// take for headers (8 KiB by default with gRPC's C core), and they would see a broken connection instead of the refusal.
    /// </summary>
    private const int LongestMessage = 400;

    public static StatusCode ToStatusCode(this LeaseError error) => error switch
    {
        LeaseError.Invalid => StatusCode.InvalidArgument,
        LeaseError.Unsupported => StatusCode.Unimplemented,
        LeaseError.NotFound => StatusCode.NotFound,
        LeaseError.Ended => StatusCode.FailedPrecondition,
        LeaseError.NoRoom or LeaseError.Quota or LeaseError.Rate => StatusCode.ResourceExhausted,
        LeaseError.Denied => StatusCode.PermissionDenied,
        LeaseError.Unavailable => StatusCode.Unavailable,
        _ => throw new ArgumentOutOfRangeException(nameof(error), error, null),
    };

    public static V1.ErrorDetail ToErrorDetail(this LeaseException refusal) => new()
    {
        Field = refusal.Field,
        LeaseId = Shorten(refusal.LeaseId),
        Device = Shorten(refusal.Device),
        EndReason = refusal.EndReason.ToWire(),
    };

    /// <summary>What a gRPC call ends with: code, message, and the detail where there is something in it.</summary>
    public static Google.Rpc.Status ToStatus(this LeaseException refusal)
    {
        var status = new Google.Rpc.Status { Code = (int)refusal.Error.ToStatusCode(), Message = Shorten(refusal.Message) };
        var detail = refusal.ToErrorDetail();
        if (detail.CalculateSize() > 0)
        {
            status.Details.Add(Any.Pack(detail));
        }

        return status;
    }

    /// <summary>The same on the fd socket.</summary>
    /// <param name="requestId">The acquire that it answers, or empty.</param>
    public static V1.FdError ToFdError(this LeaseException refusal, string requestId = "")
    {
        var detail = refusal.ToErrorDetail();
        return new V1.FdError
        {
            Code = (uint)refusal.Error.ToStatusCode(),
            Message = Shorten(refusal.Message),
            Detail = detail.CalculateSize() > 0 ? detail : null,
            RequestId = requestId,
        };
    }

    private static string Shorten(string text) => text.Length <= LongestMessage ? text : $"{text.AsSpan(0, LongestMessage)}...";
}
