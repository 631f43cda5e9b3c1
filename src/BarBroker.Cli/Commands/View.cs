// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Client;
using BarBroker.V1;
using Grpc.Core;
using Grpc.Net.Client;

namespace BarBroker.Cli.Commands;

/// <summary>What this user may see: everything by the operator socket, or what is the user's own by the client socket. The latter is said on stderr.</summary>
internal sealed class View : IDisposable
{
    private readonly OperatorConnection? _operator;
    private readonly GrpcChannel? _channel;
    private readonly LeaseService.LeaseServiceClient? _service;

    private View(OperatorConnection? connection, string runtimeDirectory)
    {
        _operator = connection;
        SocketPath = connection?.SocketPath ?? BrokerPaths.ClientSocket(runtimeDirectory);
        if (connection is null)
        {
            _channel = BrokerChannel.Open(SocketPath);
            _service = new LeaseService.LeaseServiceClient(_channel);
        }
    }

    public string SocketPath { get; }

    /// <param name="mine">Do not try the operator socket.</param>
    public static async Task<View> OpenAsync(ParseResult parsed, bool mine, CancellationToken cancellation)
    {
        string directory = GlobalOptions.DirectoryOf(parsed);
        var connection = mine ? null : await OperatorConnection.TryOpenAsync(directory, cancellation);
        if (connection is null && !mine)
        {
            Failure.Say($"{BrokerPaths.OperatorSocket(directory)} is not for this user; showing what the client socket tells: this user's own leases.");
        }

        return new View(connection, directory);
    }

    public async Task<IEnumerable<Device>> ListDevicesAsync(CancellationToken cancellation) => _operator is not null
        ? (await _operator.Service.ListDevicesAsync(new OperatorListDevicesRequest(), cancellationToken: cancellation)).Devices
        : (await _service!.ListDevicesAsync(new ListDevicesRequest(), cancellationToken: cancellation)).Devices;

    /// <summary>The device, and the ranges of its BARs if they may be seen.</summary>
    public async Task<(Device Device, IEnumerable<Segment>? Segments)> GetDeviceAsync(string name, CancellationToken cancellation)
    {
        if (_operator is not null)
        {
            var response = await _operator.Service.GetDeviceAsync(new GetDeviceRequest { Device = name }, cancellationToken: cancellation);
            return (response.Device, response.Segments);
        }

        var device = (await ListDevicesAsync(cancellation)).FirstOrDefault(device => device.Name == name);
        return device is not null ? (device, null) : throw new LeaseRefusedException(StatusCode.NotFound, $"The broker has no device {name}; see 'barctl device list'.") { Device = name };
    }

    public async Task<IEnumerable<Pool>> ListPoolsAsync(CancellationToken cancellation) => _operator is not null
        ? (await _operator.Service.ListPoolsAsync(new ListPoolsRequest(), cancellationToken: cancellation)).Pools
        : (await _service!.ListPoolsAsync(new ListPoolsRequest(), cancellationToken: cancellation)).Pools;

    public async Task<Pool> GetPoolAsync(string name, CancellationToken cancellation) =>
        (await ListPoolsAsync(cancellation)).FirstOrDefault(pool => pool.Name == name) ?? throw new LeaseRefusedException(StatusCode.NotFound, $"The broker has no pool {name}; see 'barctl pool list'.");

    public async Task<IEnumerable<V1.Lease>> ListLeasesAsync(LeaseSelector selector, bool includeEnded, CancellationToken cancellation)
    {
        if (_operator is not null)
        {
            return (await _operator.Service.ListLeasesAsync(new OperatorListLeasesRequest { Selector = selector, IncludeEnded = includeEnded }, cancellationToken: cancellation)).Leases;
        }

        var own = await _service!.ListLeasesAsync(new ListLeasesRequest { IncludeEnded = includeEnded }, cancellationToken: cancellation);
        return own.Leases.Where(lease => Selectors.Matches(selector, lease));
    }

    /// <summary>Leases that live, and what waits.</summary>
    public async Task<(IEnumerable<V1.Lease> Leases, IEnumerable<Waiting> Waiting)> ListAsync(LeaseSelector selector, CancellationToken cancellation)
    {
        if (_operator is not null)
        {
            var all = await _operator.Service.ListLeasesAsync(new OperatorListLeasesRequest { Selector = selector }, cancellationToken: cancellation);
            return (all.Leases, all.Waiting);
        }

        var own = await _service!.ListLeasesAsync(new ListLeasesRequest(), cancellationToken: cancellation);
        return (
            own.Leases.Where(lease => Selectors.Matches(selector, lease)),
            own.Waiting.Where(waiting => selector.States.Count == 0 && Selectors.Matches(selector, waiting.Device, waiting.Owner, waiting.Labels)));
    }

    public async Task<IEnumerable<Waiting>> ListWaitingAsync(LeaseSelector selector, CancellationToken cancellation)
    {
        if (_operator is not null)
        {
            return (await _operator.Service.ListLeasesAsync(new OperatorListLeasesRequest { Selector = selector }, cancellationToken: cancellation)).Waiting;
        }

        var own = await _service!.ListLeasesAsync(new ListLeasesRequest(), cancellationToken: cancellation);
        return own.Waiting.Where(waiting => Selectors.Matches(selector, waiting.Device, waiting.Owner, waiting.Labels));
    }

    public async Task<V1.Lease> GetLeaseAsync(string id, CancellationToken cancellation) => _operator is not null
        ? (await _operator.Service.GetLeaseAsync(new OperatorGetLeaseRequest { LeaseId = id }, cancellationToken: cancellation)).Lease
        : (await _service!.GetLeaseAsync(new GetLeaseRequest { LeaseId = id }, cancellationToken: cancellation)).Lease;

    /// <summary>What happens from now on.</summary>
    public async IAsyncEnumerable<(V1.Lease? Lease, Device? Device)> WatchAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellation)
    {
        if (_operator is not null)
        {
            using var all = _operator.Service.WatchLeases(new WatchLeasesRequest(), cancellationToken: cancellation);
            await foreach (var happened in all.ResponseStream.ReadAllAsync(cancellation))
            {
                yield return (happened.Lease, happened.Device);
            }
        }
        else
        {
            using var own = _service!.Watch(new WatchRequest(), cancellationToken: cancellation);
            await foreach (var happened in own.ResponseStream.ReadAllAsync(cancellation))
            {
                yield return (happened.Lease, happened.Device);
            }
        }
    }

    public void Dispose()
    {
        _operator?.Dispose();
        _channel?.Dispose();
    }
}
