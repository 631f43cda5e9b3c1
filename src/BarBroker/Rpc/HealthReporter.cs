// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using BarBroker.Devices;
using BarBroker.Leases;
using Grpc.Health.V1;
using Grpc.HealthCheck;

namespace BarBroker.Rpc;

/// <summary>
/// grpc.health.v1: the lease service, and the broker as a whole (""), serve while leases can be granted and revoked: the sweep runs, and at least one device is ready and its
/// thread is there. The operator service serves as long as the broker runs: it is what mends the rest.
/// </summary>
internal sealed class HealthReporter(HealthServiceImpl health) : ILeaseObserver
{
    private readonly ConcurrentDictionary<string, DeviceInfo> _devices = new(StringComparer.Ordinal);
    private readonly Lock _gate = new();
    private VitalSigns? _signs;
    private bool _started;
    private bool _stopped;

    public static string LeaseServiceName => V1.LeaseService.Descriptor.FullName;

    public static string OperatorServiceName => V1.OperatorService.Descriptor.FullName;

    public void Start(IEnumerable<DeviceInfo> devices)
    {
        health.SetStatus(OperatorServiceName, HealthCheckResponse.Types.ServingStatus.Serving);
        foreach (var device in devices)
        {
            _devices[device.Name] = device;
        }

        lock (_gate)
        {
            _started = true;
            Report();
        }
    }

    public void LeaseChanged(LeaseInfo lease)
    {
    }

    public void DeviceChanged(DeviceInfo device)
    {
        lock (_gate)
        {
            _devices[device.Name] = device;
            Report();
        }
    }

    public void SignsTaken(VitalSigns signs)
    {
        lock (_gate)
        {
            _signs = signs;
            Report();
        }
    }

    public void Stop()
    {
        lock (_gate)
        {
            _stopped = true;
            health.SetStatus(OperatorServiceName, HealthCheckResponse.Types.ServingStatus.NotServing);
            Report();
        }
    }

    /// <summary>What keeps the broker from granting and revoking leases, one thing a line; empty: nothing.</summary>
    public string Obstacles()
    {
        lock (_gate)
        {
            if (_stopped || !_started)
            {
                return _stopped ? "the broker stops" : "the broker starts";
            }

            if (_signs is { IsSweeping: false })
            {
                return _signs.Complaint;
            }

            string[] faults = [.. _devices.Values.OrderBy(static device => device.Name, StringComparer.Ordinal).Select(Fault).OfType<string>()];
            return _devices.IsEmpty ? "no devices are configured" : faults.Length < _devices.Count ? "" : string.Join('\n', faults);
        }
    }

    private string? Fault(DeviceInfo device) => device switch
    {
        { State: not DeviceState.Ready } => $"{device.Name} is {device.State.ToString().ToLowerInvariant()}",
        { Description.Domain: RevocationDomain.None } => $"{device.Name} cannot be revoked",
        _ => _signs?.IsAnswering(device.Name) == false ? $"the thread of {device.Name} is not there" : null,
    };

    private void Report()
    {
        var status = Obstacles().Length == 0 ? HealthCheckResponse.Types.ServingStatus.Serving : HealthCheckResponse.Types.ServingStatus.NotServing;
        health.SetStatus("", status);
        health.SetStatus(LeaseServiceName, status);
    }
}
