// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using BarBroker.Leases;
using Grpc.Health.V1;
using Grpc.HealthCheck;

namespace BarBroker.Rpc;

/// <summary>
/// grpc.health.v1: the lease service, and the broker as a whole (""), serve while leases can be granted, that is, while at least one device is
/// ready. The operator service serves as long as the broker runs: it is what mends the rest.
/// </summary>
internal sealed class HealthReporter(HealthServiceImpl health) : ILeaseObserver
{
    private readonly ConcurrentDictionary<string, bool> _ready = new(StringComparer.Ordinal);
    private readonly Lock _gate = new();
    private bool _stopped;

    public static string LeaseServiceName => V1.LeaseService.Descriptor.FullName;

    public static string OperatorServiceName => V1.OperatorService.Descriptor.FullName;

    public void Start(IEnumerable<DeviceInfo> devices)
    {
        health.SetStatus(OperatorServiceName, HealthCheckResponse.Types.ServingStatus.Serving);
        foreach (var device in devices)
        {
            DeviceChanged(device);
        }

        Report();
    }

    public void LeaseChanged(LeaseInfo lease)
    {
    }

    public void DeviceChanged(DeviceInfo device)
    {
        _ready[device.Name] = device.State == DeviceState.Ready;
        Report();
    }

    public void Stop()
    {
        lock (_gate)
        {
            _stopped = true;
            health.SetStatus(OperatorServiceName, HealthCheckResponse.Types.ServingStatus.NotServing);
        }

        Report();
    }

    private void Report()
    {
        lock (_gate)
        {
            var status = !_stopped && _ready.Values.Any(ready => ready)
                ? HealthCheckResponse.Types.ServingStatus.Serving
                : HealthCheckResponse.Types.ServingStatus.NotServing;
            health.SetStatus("", status);
            health.SetStatus(LeaseServiceName, status);
        }
    }
}
