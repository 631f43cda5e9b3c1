// SPDX-License-Identifier: Apache-2.0

using BarBroker.Journal;
using BarBroker.Leases;
using BarBroker.Policy;
using BarBroker.Telemetry;
using BarBroker.Wire;
using Grpc.Core;

namespace BarBroker.Rpc;

/// <summary>What operators call: whoever reached the socket, and is given the right by the policy if that speaks of operators. Who it was is logged and kept with what was ended.</summary>
internal sealed class OperatorService(
    LeaseManager leases, StatusReport status, ConfigurationReloader reloader, Stopping stopping, HistoryStream history, ILogger<OperatorService> log)
    : V1.OperatorService.OperatorServiceBase
{
    private const int LongestComment = 1024;

    private readonly Endings _endings = new(leases);

    public override Task<V1.GetStatusResponse> GetStatus(V1.GetStatusRequest request, ServerCallContext context)
    {
        Authorize(context, OperatorRights.Read);
        return Task.FromResult(status.Make());
    }

    public override Task<V1.OperatorListLeasesResponse> ListLeases(V1.OperatorListLeasesRequest request, ServerCallContext context)
    {
        Authorize(context, OperatorRights.Read);
        var response = new V1.OperatorListLeasesResponse();
        var filter = RequestReader.Read(request.Selector, request.IncludeEnded);
        foreach (var lease in leases.List(filter))
        {
            response.Leases.Add(lease.ToWire());
        }

        response.Waiting.Add(leases.Waiting(filter).Select(LeaseWire.ToWire));

        return Task.FromResult(response);
    }

    public override Task<V1.OperatorGetLeaseResponse> GetLease(V1.OperatorGetLeaseRequest request, ServerCallContext context)
    {
        Authorize(context, OperatorRights.Read);
        return Task.FromResult(new V1.OperatorGetLeaseResponse { Lease = leases.Get(request.LeaseId).ToWire() });
    }

    public override async Task WatchLeases(V1.WatchLeasesRequest request, IServerStreamWriter<V1.WatchLeasesResponse> responseStream, ServerCallContext context)
    {
        Authorize(context, OperatorRights.Read);
        using var events = new EventQueue(leases, client: null, stopping.Token, context.CancellationToken);
        await events.SendAsync(responseStream, static (lease, device) => new V1.WatchLeasesResponse().With(lease, device));
    }

    public override Task Revoke(V1.RevokeRequest request, IServerStreamWriter<V1.RevokeResponse> responseStream, ServerCallContext context)
    {
        var caller = Authorize(context, OperatorRights.Revoke);
        var grace = RequestReader.ReadGrace(request.Grace);
        var ids = Selected(request);
        string detail = Detail(caller, request.Comment);
        OperatorLog.Revoke(log, caller, ids.Count, grace);
        OperatorSpans.About(context, () => ids, ends: true);
        return _endings.RunAsync(
            ids, grace, detail, !request.NoWait, lease => responseStream.WriteAsync(new V1.RevokeResponse { Lease = lease.ToWire() }), context.CancellationToken);
    }

    public override Task<V1.OperatorListDevicesResponse> ListDevices(V1.OperatorListDevicesRequest request, ServerCallContext context)
    {
        Authorize(context, OperatorRights.Read);
        var response = new V1.OperatorListDevicesResponse();
        foreach (var device in leases.Devices())
        {
            response.Devices.Add(device.ToWire());
        }

        return Task.FromResult(response);
    }

    public override Task<V1.ListPoolsResponse> ListPools(V1.ListPoolsRequest request, ServerCallContext context)
    {
        Authorize(context, OperatorRights.Read);
        var response = new V1.ListPoolsResponse();
        response.Pools.AddRange(leases.Pools().Select(static pool => pool.ToWire(static _ => true)));
        return Task.FromResult(response);
    }

    public override Task<V1.GetDeviceResponse> GetDevice(V1.GetDeviceRequest request, ServerCallContext context)
    {
        Authorize(context, OperatorRights.Read);
        var response = new V1.GetDeviceResponse { Device = leases.Device(request.Device).ToWire() };
        foreach (var segment in leases.Segments(request.Device))
        {
            response.Segments.Add(segment.ToWire());
        }

        return Task.FromResult(response);
    }

    public override Task<V1.CordonDeviceResponse> CordonDevice(V1.CordonDeviceRequest request, ServerCallContext context)
    {
        var caller = Authorize(context, OperatorRights.Devices);
        var device = leases.Cordon(request.Device, Detail(caller, request.Comment));
        OperatorLog.Cordon(log, caller, device.Name);
        OperatorSpans.About(context, () => IdsOn(device.Name), ends: false);
        return Task.FromResult(new V1.CordonDeviceResponse { Device = device.ToWire() });
    }

    public override Task<V1.UncordonDeviceResponse> UncordonDevice(V1.UncordonDeviceRequest request, ServerCallContext context)
    {
        var caller = Authorize(context, OperatorRights.Devices);
        var device = leases.Uncordon(request.Device);
        OperatorLog.Uncordon(log, caller, device.Name);
        OperatorSpans.About(context, () => IdsOn(device.Name), ends: false);
        return Task.FromResult(new V1.UncordonDeviceResponse { Device = device.ToWire() });
    }

    public override Task DrainDevice(V1.DrainDeviceRequest request, IServerStreamWriter<V1.DrainDeviceResponse> responseStream, ServerCallContext context)
    {
        var caller = Authorize(context, OperatorRights.Devices);
        var grace = RequestReader.ReadGrace(request.Grace);
        string detail = Detail(caller, request.Comment);

        // Cordoned first: what is granted after the list was made would be left over.
        var device = leases.Cordon(request.Device, detail);
        OperatorLog.Drain(log, caller, device.Name, grace);
        var count = new EndingCount();
        var ids = IdsOn(device.Name);
        OperatorSpans.About(context, () => ids, ends: true);
        return _endings.RunAsync(
            ids,
            grace,
            detail,
            wait: true,
            lease => responseStream.WriteAsync(new V1.DrainDeviceResponse { Lease = lease.ToWire(), Progress = count.Add(lease) }),
            context.CancellationToken,
            total => responseStream.WriteAsync(new V1.DrainDeviceResponse { Progress = count.Begin(total) }));
    }

    public override async Task<V1.ResetDeviceResponse> ResetDevice(V1.ResetDeviceRequest request, ServerCallContext context)
    {
        var caller = Authorize(context, request.DryRun ? OperatorRights.Read : OperatorRights.Devices);
        var grace = RequestReader.ReadGrace(request.Grace);
        string detail = Detail(caller, request.Comment);
        string device = leases.Device(request.Device).Name;
        if (request.DryRun)
        {
            return PlanReset(device);
        }

        OperatorLog.Reset(log, caller, device, grace);
        OperatorSpans.About(context, () => IdsOn(device), ends: true);
        int ended = await leases.ResetDeviceAsync(device, grace, detail, context.CancellationToken);
        return new V1.ResetDeviceResponse { Device = leases.Device(device).ToWire(), Ended = (uint)ended };
    }

    public override Task<V1.ReloadResponse> Reload(V1.ReloadRequest request, ServerCallContext context)
    {
        var caller = Authorize(context, OperatorRights.Reload);
        var outcome = reloader.Reload(caller.ToString(), request.Apply, request.DryRun);
        var response = new V1.ReloadResponse { Ended = (uint)outcome.Ended };
        response.Changed.AddRange(outcome.Changes.Reloadable);
        response.NeedRestart.AddRange(outcome.Changes.NeedRestart);
        response.Faults.AddRange(outcome.Faults.Select(static fault => new V1.ConfigurationFault { Path = fault.Path, Line = (uint)fault.Line, Message = fault.Message }));
        return Task.FromResult(response);
    }

    public override Task History(V1.HistoryRequest request, IServerStreamWriter<V1.HistoryResponse> responseStream, ServerCallContext context)
    {
        Authorize(context, OperatorRights.Read);
        return history.SendAsync(request, responseStream, context.CancellationToken);
    }

    private V1.ResetDeviceResponse PlanReset(string name)
    {
        var device = leases.Device(name);
        var plan = new V1.ResetPlan { Waiting = (uint)device.Waiting, Way = V1.ResetWay.None, Detail = "it is not open; it is tried to open it now" };
        plan.Leases.Add(leases.List(LeaseFilter.All with { Device = name }).Select(LeaseWire.ToWire));
        if (device is { State: not DeviceState.Unavailable, Description.Reset: { } means })
        {
            plan.Way = (V1.ResetWay)means.Way;
            plan.Detail = means.Detail;
            plan.Neighbours.Add(means.Neighbours);
        }

        return new V1.ResetDeviceResponse { Device = device.ToWire(), Plan = plan };
    }

    /// <exception cref="LeaseException">Denied.</exception>
    private Caller Authorize(ServerCallContext context, OperatorRights needed)
    {
        var caller = Caller.Of(context);
        if (!leases.Policy.RightsOf(caller.Owner, out var rule).HasFlag(needed))
        {
            string right = needed.ToString().ToLowerInvariant();
            throw new LeaseException(
                LeaseError.Denied, rule is null ? $"no rule of the broker's policy gives uid {caller.Uid} the right {right}" : $"policy rule {rule.Name} does not give uid {caller.Uid} the right {right}");
        }

        OperatorActions.Accepted(context);
        return caller;
    }

    private List<string> Selected(V1.RevokeRequest request)
    {
        bool hasSelector = !RequestReader.IsEmpty(request.Selector);
        if (request.LeaseIds.Count > 0 == hasSelector)
        {
            throw new LeaseException(LeaseError.Invalid, "Name the leases, either by lease_ids or by a selector that is not empty") { Field = hasSelector ? "selector" : "lease_ids" };
        }

        if (hasSelector)
        {
            return Ids(RequestReader.Read(request.Selector, includeEnded: false));
        }

        // All of them are looked up before any is ended, so that a mistyped id ends nothing.
        foreach (string id in request.LeaseIds)
        {
            leases.Get(id);
        }

        return [.. request.LeaseIds.Distinct()];
    }

    private List<string> IdsOn(string device) => Ids(LeaseFilter.All with { Device = device });

    private List<string> Ids(LeaseFilter filter) => [.. leases.List(filter).Select(lease => lease.Id)];

    private static string Detail(Caller caller, string comment)
    {
        if (comment.Length > LongestComment)
        {
            throw new LeaseException(LeaseError.Invalid, $"comment has {comment.Length} characters; at most {LongestComment} are taken") { Field = "comment" };
        }

        return comment.Length == 0 ? caller.ToString() : $"{caller}: {comment}";
    }
}
