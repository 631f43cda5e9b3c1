// SPDX-License-Identifier: Apache-2.0

using System.Reflection;
using BarBroker.Journal;
using BarBroker.Leases;
using BarBroker.Policy;
using BarBroker.Wire;

namespace BarBroker.Rpc;

/// <summary>The state of the broker in one message.</summary>
internal sealed class StatusReport(LeaseManager leases, ConfigurationReloader reloader, TimeProvider time, LeaseJournal? journal)
{
    private static readonly string Version =
        typeof(StatusReport).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";

    private long _readySince = time.GetTimestamp();

    /// <summary>Where metrics are served; empty: nowhere. Known once the listener is bound.</summary>
    public string MetricsUrl { get; set; } = "";

    public void Ready() => _readySince = time.GetTimestamp();

    public V1.GetStatusResponse Make()
    {
        var response = new V1.GetStatusResponse
        {
            Version = Version,
            Pid = Environment.ProcessId,
            Uptime = time.GetElapsedTime(_readySince).ToWire(),
            Ended = (ulong)leases.EndedCount,
            MetricsUrl = MetricsUrl,
            Journal = journal?.Status(),
        };
        foreach (var lease in leases.List(LeaseFilter.All))
        {
            Count(response, lease.State);
        }

        foreach (var device in leases.Devices())
        {
            response.Devices.Add(device.ToWire());
            response.Warnings.AddRange(Warnings(device));
        }

        if (response.Devices.Count == 0)
        {
            response.Warnings.Add("No devices are configured.");
        }

        if (reloader.NeedRestart is { IsEmpty: false } keys)
        {
            response.Warnings.Add($"The configuration has changes that need a restart: {string.Join(", ", keys)}.");
        }

        if (response.Journal is { Problem.Length: > 0 } kept)
        {
            response.Warnings.Add($"The journal {kept.Path} is not written: {kept.Problem}. Leases go on; {kept.Waiting} entries wait, {kept.Lost} are lost.");
        }

        if (response.Journal is { Unproven: > 0 and var unproven })
        {
            response.Warnings.Add($"{unproven} {(unproven == 1 ? "lease" : "leases")} of before the restart, of devices that are not configured any more, {(unproven == 1 ? "has" : "have")} no end in the journal: nothing proves that access is over. Configure the devices again, or restart the machine.");
        }

        if (response.Stuck > 0)
        {
            response.Warnings.Add($"{response.Stuck} stuck {(response.Stuck == 1 ? "lease" : "leases")}: access could not be ended; the ranges stay quarantined and the revoke is retried. A device reset frees them.");
        }

        return response;
    }

    /// <summary>The same in a line.</summary>
    public string Summary()
    {
        var devices = leases.Devices();
        int stuck = leases.Count(LeaseState.Stuck);
        return $"{devices.Count(static device => device.State == DeviceState.Ready)} of {devices.Length} devices ready, {devices.Sum(static device => device.Leases)} leases{(stuck > 0 ? $", {stuck} stuck" : "")}";
    }

    private static void Count(V1.GetStatusResponse response, LeaseState state)
    {
        switch (state)
        {
            case LeaseState.Granted:
                response.Granted++;
                break;
            case LeaseState.Active:
                response.Active++;
                break;
            case LeaseState.Recalled:
                response.Recalled++;
                break;
            case LeaseState.Revoking:
                response.Revoking++;
                break;
            case LeaseState.Stuck:
                response.Stuck++;
                break;
        }
    }

    private static IEnumerable<string> Warnings(DeviceInfo device)
    {
        string? state = device switch
        {
            { State: DeviceState.Leaving } => $"{device.Name} is leaving: {device.Detail}",
            { State: DeviceState.Unavailable } => $"{device.Name} is unavailable: {device.Detail}",
            { Description.Domain: Devices.RevocationDomain.None } => $"{device.Name} is not served: {device.Detail}",
            { Description.Kind: "simulated" } => $"{device.Name} is simulated: memory, no hardware.",
            _ => null,
        };
        var cordons = device.State == DeviceState.Cordoned ? device.Cordons : [];
        return cordons.Select(cordon => $"{device.Name} is {cordon}").Concat(state is null ? [] : [state]);
    }
}
