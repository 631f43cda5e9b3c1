// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using BarBroker.Devices;
using BarBroker.Leases;

namespace BarBroker.Telemetry;

/// <summary>The broker's diary: every grant and every end with its reason, what got stuck, and what became of devices.</summary>
internal sealed partial class LeaseLog(ILogger<LeaseLog> log) : ILeaseObserver
{
    // Changes are told one at a time.
    private readonly HashSet<string> _served = new(StringComparer.Ordinal);

    /// <summary>Devices are closed on purpose from now on.</summary>
    public bool IsStopping { get; set; }

    public void LeaseChanged(LeaseInfo lease)
    {
        var owner = lease.Owner;
        switch (lease.State)
        {
            case var _ when lease.Escalated is { Step: not EscalationStep.Notify } taken:
                Escalated(log, lease.Id, lease.Device, owner.Uid, owner.Pid, lease.StuckFor ?? TimeSpan.Zero, taken.Step, taken.Outcome, taken.Detail);
                break;
            case LeaseState.Granted:
                Granted(log, lease.Id, lease.Device, lease.Epoch, new Extent(lease), owner.Uid, owner.Pid, owner.Comm);
                break;
            case LeaseState.Active:
                Active(log, lease.Id, lease.Device, owner.Uid, owner.Pid);
                break;
            case LeaseState.Recalled when lease.RecallAcknowledged:
                Acknowledged(log, lease.Id, lease.Device, owner.Uid, owner.Pid);
                break;
            case LeaseState.Recalled:
                Recalled(log, lease.Id, lease.Device, owner.Uid, owner.Pid, lease.RecallRemaining ?? TimeSpan.Zero, lease.RecallReason, lease.RecallDetail);
                break;
            case LeaseState.Revoking:
                Revoking(log, lease.Id, lease.Device, owner.Uid, owner.Pid, lease.EndReason, lease.EndDetail);
                break;
            case LeaseState.Ended:
                Ended(log, lease.Id, lease.Device, owner.Uid, owner.Pid, lease.EndReason, lease.EndDetail, lease.Age);
                break;
            case LeaseState.Stuck:
                // Worth waking somebody only from the time on that the site has set.
                var level = lease.Escalations.Any(static e => e.Step == EscalationStep.Notify) ? LogLevel.Error : LogLevel.Warning;
                Stuck(log, level, lease.Id, lease.Device, owner.Uid, owner.Pid, owner.Comm, lease.StuckFor ?? TimeSpan.Zero, lease.RevokeAttempts, lease.RevokeError);
                break;
        }
    }

    public void DeviceChanged(DeviceInfo device)
    {
        // Out of service by a decision (reset, revoke of the whole device) or a loss, or out of service still: then something failed.
        bool wasServed = _served.Contains(device.Name);
        _ = device.State == DeviceState.Unavailable ? _served.Remove(device.Name) : _served.Add(device.Name);
        switch (device)
        {
            case { State: DeviceState.Leaving }:
                DeviceLeaving(log, device.Name, device.Leases, device.Detail);
                break;
            case { State: DeviceState.Unavailable } when IsStopping:
                DeviceClosed(log, device.Name);
                break;
            case { State: DeviceState.Unavailable } when wasServed:
                DeviceWithdrawn(log, device.Name, device.Detail);
                break;
            case { State: DeviceState.Unavailable }:
                DeviceUnavailable(log, device.Name, device.Detail);
                break;
            case { Description: { } description }:
                DeviceIs(log, device.Name, description.Kind, device.State, device.Generation, description.Domain, device.Detail);
                break;
        }
    }

    [LoggerMessage(EventId = 1, Level = LogLevel.Information, Message = "Lease {Lease} on {Device} granted: epoch {Epoch}, {Bytes} bytes, uid {Uid}, process {Pid} ({Comm})")]
    private static partial void Granted(ILogger log, string lease, string device, ulong epoch, Extent bytes, uint uid, int pid, string comm);

    [LoggerMessage(EventId = 2, Level = LogLevel.Debug, Message = "Lease {Lease} on {Device} active: uid {Uid}, process {Pid}")]
    private static partial void Active(ILogger log, string lease, string device, uint uid, int pid);

    [LoggerMessage(EventId = 3, Level = LogLevel.Information, Message = "Lease {Lease} on {Device} recalled: uid {Uid}, process {Pid}, revoked in {Grace}, {Reason} ({Detail})")]
    private static partial void Recalled(ILogger log, string lease, string device, uint uid, int pid, TimeSpan grace, EndReason reason, string detail);

    [LoggerMessage(EventId = 7, Level = LogLevel.Debug, Message = "Lease {Lease} on {Device}: its client knows of the recall: uid {Uid}, process {Pid}")]
    private static partial void Acknowledged(ILogger log, string lease, string device, uint uid, int pid);

    [LoggerMessage(EventId = 4, Level = LogLevel.Debug, Message = "Lease {Lease} on {Device} ends: uid {Uid}, process {Pid}, {Reason} ({Detail})")]
    private static partial void Revoking(ILogger log, string lease, string device, uint uid, int pid, EndReason reason, string detail);

    [LoggerMessage(EventId = 5, Level = LogLevel.Information, Message = "Lease {Lease} on {Device} ended: uid {Uid}, process {Pid}, {Reason} ({Detail}), after {Age}")]
    private static partial void Ended(ILogger log, string lease, string device, uint uid, int pid, EndReason reason, string detail, TimeSpan age);

    [LoggerMessage(EventId = 6, Message = "Lease {Lease} on {Device} is stuck: uid {Uid}, process {Pid} ({Comm}); for {StuckFor}, after {Attempts} attempts, its end is not confirmed ({Error}); its ranges are quarantined and the revoke is retried")]
    private static partial void Stuck(ILogger log, LogLevel level, string lease, string device, uint uid, int pid, string comm, TimeSpan stuckFor, int attempts, string error);

    [LoggerMessage(EventId = 8, Level = LogLevel.Warning, Message = "Lease {Lease} on {Device}, stuck: uid {Uid}, process {Pid}, for {StuckFor}; {Step} {Outcome} ({Detail})")]
    private static partial void Escalated(ILogger log, string lease, string device, uint uid, int pid, TimeSpan stuckFor, EscalationStep step, EscalationOutcome outcome, string detail);

    [LoggerMessage(EventId = 10, Level = LogLevel.Error, Message = "Device {Device} is unavailable: {Detail}")]
    private static partial void DeviceUnavailable(ILogger log, string device, string detail);

    [LoggerMessage(EventId = 13, Level = LogLevel.Warning, Message = "Device {Device} is out of service: {Detail}")]
    private static partial void DeviceWithdrawn(ILogger log, string device, string detail);

    [LoggerMessage(EventId = 14, Level = LogLevel.Warning, Message = "Device {Device} is leaving, with {Leases} leases: {Detail}")]
    private static partial void DeviceLeaving(ILogger log, string device, int leases, string detail);

    [LoggerMessage(EventId = 12, Level = LogLevel.Information, Message = "Device {Device} is closed")]
    private static partial void DeviceClosed(ILogger log, string device);

    [LoggerMessage(EventId = 11, Level = LogLevel.Information, Message = "Device {Device} ({Kind}) is {State}, generation {Generation}, revocation domain {Domain}: {Detail}")]
    private static partial void DeviceIs(ILogger log, string device, string kind, DeviceState state, int generation, RevocationDomain domain, string detail);

    /// <summary>Adds up only if the line is written.</summary>
    private readonly record struct Extent(LeaseInfo Lease)
    {
        public override string ToString() => Lease.Buffers.Aggregate(0ul, static (sum, buffer) => sum + buffer.Size).ToString(CultureInfo.InvariantCulture);
    }
}
