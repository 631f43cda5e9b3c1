// SPDX-License-Identifier: Apache-2.0

using BarBroker.V1;
using Grpc.Core;

namespace BarBroker.Client;

/// <summary>Turns gRPC statuses into this library's exceptions.</summary>
public static class Failures
{
    /// <summary>The exception that says what the status does, with the server's message and details kept.</summary>
    /// <param name="exception">As thrown by a generated client.</param>
    /// <param name="socketPath">The socket that was called, for the message when nobody answers.</param>
    public static BrokerException Translate(RpcException exception, string socketPath)
    {
        // A status that the broker sent has no exception behind it; one that this side made up because of the connection has.
        if (exception.Status.DebugException is { } cause && cause is HttpRequestException or IOException or System.Net.Sockets.SocketException)
        {
            return BrokerUnavailableException.From(socketPath, cause);
        }

        var detail = exception.GetRpcStatus()?.GetDetail<ErrorDetail>() ?? new ErrorDetail();
        return Of(exception.StatusCode, exception.Status.Detail, detail, exception);
    }

    /// <summary>The same for an error of the fd socket.</summary>
    internal static BrokerException Of(FdError error) => Of((StatusCode)error.Code, error.Message, error.Detail ?? new ErrorDetail(), null);

    private static BrokerException Of(StatusCode code, string message, ErrorDetail detail, Exception? cause)
    {
        if (code == StatusCode.FailedPrecondition && detail.LeaseId.Length > 0)
        {
            return new LeaseLostException(detail.LeaseId, detail.EndReason, message, cause);
        }

        return code switch
        {
            StatusCode.InvalidArgument or StatusCode.NotFound or StatusCode.ResourceExhausted or StatusCode.PermissionDenied
                or StatusCode.Unavailable or StatusCode.Unimplemented or StatusCode.FailedPrecondition =>
                new LeaseRefusedException(code, message, cause)
                {
                    Field = detail.Field,
                    LeaseId = detail.LeaseId,
                    Device = detail.Device,
                },
            _ => new BrokerException(code, message, cause),
        };
    }
}
