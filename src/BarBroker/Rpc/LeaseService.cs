// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;
using BarBroker.Processes;
using BarBroker.Telemetry;
using BarBroker.Wire;
using Grpc.Core;

namespace BarBroker.Rpc;

/// <summary>What clients call. Every lease that is spoken of must belong to the caller's uid.</summary>
internal sealed class LeaseService(LeaseManager leases, ClientRegistry registry, Stopping stopping, LeaseTraces? traces = null) : V1.LeaseService.LeaseServiceBase
{
    public override Task<V1.ListDevicesResponse> ListDevices(V1.ListDevicesRequest request, ServerCallContext context)
    {
        var response = new V1.ListDevicesResponse();
        var isAllowed = leases.Policy.DevicesOf(Caller.Of(context).Owner);
        foreach (var device in leases.Devices())
        {
            if (isAllowed(device.Name))
            {
                response.Devices.Add(device.ToWire());
            }
        }

        return Task.FromResult(response);
    }

    public override Task<V1.ListPoolsResponse> ListPools(V1.ListPoolsRequest request, ServerCallContext context)
    {
        var response = new V1.ListPoolsResponse();
        if (leases.Policy.RuleOf(Caller.Of(context).Owner) is { } rule)
        {
            response.Pools.AddRange(leases.Pools().Where(pool => rule.AllowsPool(pool.Pool.Name)).Select(pool => pool.ToWire(rule.AllowsDevice)));
        }

        return Task.FromResult(response);
    }

    public override async Task<V1.AcquireResponse> Acquire(V1.AcquireRequest request, ServerCallContext context)
    {
        using var span = traces?.BeginAcquire(context.RequestHeaders.GetValue(LeaseTraces.Header));
        try
        {
            var response = await AcquireAsync(request, span?.Traceparent ?? "", context);
            span?.Granted(response.Lease.Id, response.Lease.Device);
            return response;
        }
        catch (Exception exception)
        {
            span?.Failed(exception.Message);
            throw;
        }
    }

    public override async Task KeepAlive(
        IAsyncStreamReader<V1.KeepAliveRequest> requestStream, IServerStreamWriter<V1.KeepAliveResponse> responseStream, ServerCallContext context)
    {
        uint uid = Caller.Of(context).Uid;
        var heartbeats = new Heartbeats(leases, uid);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(stopping.Token, context.CancellationToken);
        try
        {
            while (await requestStream.MoveNext(end.Token))
            {
                await responseStream.WriteAsync(heartbeats.Answer(requestStream.Current), end.Token);
            }
        }
        catch (OperationCanceledException) when (stopping.Token.IsCancellationRequested)
        {
            throw Stopping.Refusal();
        }
        catch (IOException)
        {
            // The caller dropped the stream, as it may at any time. The token hears of it later than the reader does.
            throw new RpcException(new Status(StatusCode.Cancelled, "The caller dropped the stream."));
        }
    }

    public override async Task<V1.ReleaseResponse> Release(V1.ReleaseRequest request, ServerCallContext context)
    {
        var lease = await leases.ReleaseAsync(request.LeaseId, Caller.Of(context).Uid, context.CancellationToken);
        return new V1.ReleaseResponse { Lease = lease.ToWire() };
    }

    public override Task<V1.AcknowledgeRecallResponse> AcknowledgeRecall(V1.AcknowledgeRecallRequest request, ServerCallContext context) =>
        Task.FromResult(new V1.AcknowledgeRecallResponse { Lease = leases.AcknowledgeRecall(request.LeaseId, Caller.Of(context).Uid).ToWire() });

    public override Task<V1.GetLeaseResponse> GetLease(V1.GetLeaseRequest request, ServerCallContext context) =>
        Task.FromResult(new V1.GetLeaseResponse { Lease = leases.Get(request.LeaseId, Caller.Of(context).Uid).ToWire() });

    public override Task<V1.ListLeasesResponse> ListLeases(V1.ListLeasesRequest request, ServerCallContext context)
    {
        var response = new V1.ListLeasesResponse();
        var own = LeaseFilter.All with { Uid = Caller.Of(context).Uid, IncludeEnded = request.IncludeEnded };
        foreach (var lease in leases.List(own))
        {
            response.Leases.Add(lease.ToWire());
        }

        response.Waiting.Add(leases.Waiting(own).Select(LeaseWire.ToWire));

        return Task.FromResult(response);
    }

    public override async Task Watch(V1.WatchRequest request, IServerStreamWriter<V1.WatchEvent> responseStream, ServerCallContext context)
    {
        using var events = new EventQueue(leases, Caller.Of(context).Owner, stopping.Token, context.CancellationToken);
        await events.SendAsync(responseStream, static (lease, device) => new V1.WatchEvent().With(lease, device));
    }

    private async Task<V1.AcquireResponse> AcquireAsync(V1.AcquireRequest request, string trace, ServerCallContext context)
    {
        var caller = Caller.Of(context);
        var wanted = RequestReader.Read(request) with { Trace = trace };
        var process = caller.Process!;

        // The connection may close meanwhile; a lease must never be granted to a process that is not watched.
        registry.Hold(process);
        try
        {
            var grant = await leases.AcquireAsync(wanted, caller.Owner, context.CancellationToken);
            return new V1.AcquireResponse
            {
                Lease = grant.Lease.ToWire(),
                Ticket = Google.Protobuf.ByteString.CopyFrom(grant.Ticket.Span),
                TicketTtl = grant.TicketTtl.ToWire(),
            };
        }
        finally
        {
            registry.Release(process);
        }
    }
}
