// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Rpc;

/// <summary>Lets a request through only on a socket that its endpoint is served on. An endpoint that does not say is served nowhere.</summary>
internal static class SocketGate
{
    private const string Unimplemented = "12";

    public static Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        var socket = context.Features.Get<Caller>()?.Socket ?? SocketKind.Metrics;
        var served = context.GetEndpoint()?.Metadata.GetMetadata<ServedOn>()?.Sockets ?? SocketKind.None;
        if ((served & socket) != 0)
        {
            return next(context);
        }

        if (socket == SocketKind.Metrics)
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        }

        // What gRPC answers for a service it does not have: a trailers-only response.
        context.Response.ContentType = "application/grpc";
        context.Response.Headers["grpc-status"] = Unimplemented;
        context.Response.Headers["grpc-message"] = "Service is unimplemented.";
        return Task.CompletedTask;
    }
}
