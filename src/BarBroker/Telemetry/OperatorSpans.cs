// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using BarBroker.Leases;
using BarBroker.Rpc;
using Grpc.Core;
using Grpc.Core.Interceptors;

namespace BarBroker.Telemetry;

/// <summary>A span around every call of the operator service that changes something. The service tells which leases it is about.</summary>
internal sealed class OperatorSpans(LeaseTraces traces) : Interceptor
{
    /// <summary>As many links as OpenTelemetry takes of a span by default; a drain may be about thousands of leases.</summary>
    private const int MaxLinks = 128;

    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        using var call = Begin(request, context);
        try
        {
            return await continuation(request, context);
        }
        catch (Exception exception)
        {
            call?.Failed(exception);
            throw;
        }
    }

    public override async Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context, ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        using var call = Begin(request, context);
        try
        {
            await continuation(request, responseStream, context);
        }
        catch (Exception exception)
        {
            call?.Failed(exception);
            throw;
        }
    }

    /// <summary>The call is about these leases, which are looked for only if it has a span. Before anything is done to them.</summary>
    /// <param name="ends">It ends or recalls them: their revokes have links to it.</param>
    public static void About(ServerCallContext context, Func<IReadOnlyCollection<string>> leaseIds, bool ends)
    {
        if (context.UserState.TryGetValue(typeof(OperatorSpans), out object? call))
        {
            ((Call)call).About(leaseIds(), ends);
        }
    }

    /// <summary>Null: it only looks, or its trace is not sampled.</summary>
    private Call? Begin(object request, ServerCallContext context)
    {
        var (name, device) = request switch
        {
            V1.RevokeRequest { Grace: { Seconds: > 0 } or { Nanos: > 0 } } => ("recall", ""),
            V1.RevokeRequest => ("revoke", ""),
            V1.DrainDeviceRequest drain => ("drain", drain.Device),
            V1.CordonDeviceRequest cordon => ("cordon", cordon.Device),
            V1.UncordonDeviceRequest uncordon => ("uncordon", uncordon.Device),
            V1.ResetDeviceRequest { DryRun: false } reset => ("reset", reset.Device),
            _ => ("", ""),
        };
        if (name.Length == 0 || traces.BeginOperator(name, context.RequestHeaders.GetValue(LeaseTraces.Header)) is not { } activity)
        {
            return null;
        }

        activity.SetTag("barbroker.operator.uid", Caller.Of(context).Uid);
        if (device.Length > 0)
        {
            activity.SetTag(LeaseTraces.Device, device);
        }

        var call = new Call(traces, activity);
        context.UserState[typeof(OperatorSpans)] = call;
        return call;
    }

    private sealed class Call(LeaseTraces traces, Activity activity) : IDisposable
    {
        public void About(IReadOnlyCollection<string> leaseIds, bool ends)
        {
            activity.SetTag("barbroker.leases", leaseIds.Count);
            foreach (string id in leaseIds.Take(MaxLinks))
            {
                traces.LinkTo(id, activity);
            }

            foreach (string id in leaseIds.Where(_ => ends))
            {
                traces.EndedBy(id, activity.Context);
            }

            if (leaseIds.Count == 1)
            {
                activity.SetTag(LeaseTraces.Lease, leaseIds.First());
            }
        }

        public void Failed(Exception exception) => activity.SetStatus(ActivityStatusCode.Error, exception switch
        {
            LeaseException refusal => refusal.Message,
            OperationCanceledException or IOException => "the caller went away, which stops nothing",
            _ => "a fault of the broker",
        });

        public void Dispose() => LeaseTraces.Stop(activity);
    }
}
