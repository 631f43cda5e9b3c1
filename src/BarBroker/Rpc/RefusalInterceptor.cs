// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;
using BarBroker.Linux;
using BarBroker.Telemetry;
using BarBroker.Wire;
using Grpc.Core;
using Grpc.Core.Interceptors;

namespace BarBroker.Rpc;

/// <summary>Around every call: refusals become status codes, what nobody expected is logged and told without details, and both are counted.</summary>
internal sealed class RefusalInterceptor(RpcMetrics metrics, ILogger<RefusalInterceptor> log) : Interceptor
{
    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            var response = await continuation(request, context);
            metrics.Answered(context.Method, StatusCode.OK);
            return response;
        }
        catch (Exception exception)
        {
            throw Refusal(exception, context);
        }
    }

    public override async Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context, ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            await continuation(request, new CallerStream<TResponse>(responseStream), context);
            metrics.Answered(context.Method, StatusCode.OK);
        }
        catch (Exception exception)
        {
            throw Refusal(exception, context);
        }
    }

    public override async Task DuplexStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream,
        IServerStreamWriter<TResponse> responseStream,
        ServerCallContext context,
        DuplexStreamingServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            await continuation(new CallerRequests<TRequest>(requestStream), new CallerStream<TResponse>(responseStream), context);
            metrics.Answered(context.Method, StatusCode.OK);
        }
        catch (Exception exception)
        {
            throw Refusal(exception, context);
        }
    }

    private RpcException Refusal(Exception exception, ServerCallContext context)
    {
        var refusal = Translate(exception, context);
        metrics.Answered(context.Method, refusal.StatusCode);
        return refusal;
    }

    private RpcException Translate(Exception exception, ServerCallContext context)
    {
        switch (exception)
        {
            case LeaseException refusal:
                RpcLog.Refused(log, context.Method, refusal.Message);
                return refusal.ToStatus().ToRpcException();
            case RpcException known:
                return known;
            case OperationCanceledException or (IOException and not LinuxException):
                // Kestrel tells a reset stream or connection by an IOException; the token follows a moment later.
                return new RpcException(new Status(StatusCode.Cancelled, "The caller went away or its deadline passed."));
            default:
                RpcLog.Failed(log, context.Method, exception);
                return new RpcException(new Status(StatusCode.Internal, "A fault of the broker; its log has the details."));
        }
    }
}
