// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Leases;
using Google.Protobuf.WellKnownTypes;

namespace BarBroker.Wire;

/// <summary>Leases as messages; the same on every socket.</summary>
internal static class LeaseWire
{
    public static V1.Lease ToWire(this LeaseInfo lease)
    {
        var message = new V1.Lease
        {
            Id = lease.Id,
            Epoch = lease.Epoch,
            Device = lease.Device,
            Access = lease.Access.ToWire(),
            MemoryAttribute = lease.Attribute.ToWire(),
            Owner = lease.Owner.ToWire(),
            State = lease.State.ToWire(),
            EndReason = lease.EndReason.ToWire(),
            EndDetail = lease.EndDetail,
            Ttl = lease.Ttl.ToWire(),
            Remaining = lease.Remaining?.ToWire(),
            Age = lease.Age.ToWire(),
            HangLimit = lease.HangLimit?.ToWire(),
            RecallRemaining = lease.RecallRemaining?.ToWire(),
            RevokeAttempts = (uint)lease.RevokeAttempts,
            RevokeError = lease.RevokeError,
            PolicyRule = lease.PolicyRule,
            LifetimeRemaining = lease.LifetimeRemaining?.ToWire(),
            Priority = lease.Priority,
            RecallReason = lease.RecallReason.ToWire(),
            RecallDetail = lease.RecallDetail,
            RecallAcknowledged = lease.RecallAcknowledged,
            Pool = lease.Pool,
            Slot = (uint?)lease.PoolSlot,
            StuckFor = lease.StuckFor?.ToWire(),
        };
        message.Escalations.Add(lease.Escalations.Select(ToWire));
        foreach (var buffer in lease.Buffers)
        {
            message.Buffers.Add(buffer.ToWire());
        }

        foreach (var (key, value) in lease.Labels)
        {
            message.Labels.Add(key, value);
        }

        return message;
    }

    /// <summary>The numbers of step and outcome are the same.</summary>
    public static V1.Escalation ToWire(this EscalationInfo escalation) => new()
    {
        Step = (V1.EscalationStep)escalation.Step,
        Outcome = (V1.EscalationOutcome)escalation.Outcome,
        Detail = escalation.Detail,
        Age = escalation.Age.ToWire(),
    };

    public static V1.Waiting ToWire(this WaiterInfo waiter)
    {
        var message = new V1.Waiting
        {
            Device = waiter.Device,
            Position = (uint)waiter.Position,
            Owner = waiter.Owner.ToWire(),
            Size = waiter.Bytes,
            Access = waiter.Access.ToWire(),
            Priority = waiter.Priority,
            Waited = waiter.Waited.ToWire(),
            Remaining = waiter.Remaining.ToWire(),
            Preempts = waiter.HasPreempted,
            PolicyRule = waiter.PolicyRule,
            Pool = waiter.Pool,
        };
        message.Kept.Add(waiter.Kept.Select(ToWire));
        foreach (var (key, value) in waiter.Labels)
        {
            message.Labels.Add(key, value);
        }

        return message;
    }

    public static V1.Buffer ToWire(this LeaseBuffer buffer)
    {
        var message = new V1.Buffer { Bar = (uint)buffer.Bar, Size = buffer.Size };
        foreach (var range in buffer.Ranges)
        {
            message.Ranges.Add(range.ToWire());
        }

        return message;
    }

    public static V1.Range ToWire(this BarRange range) => new() { Offset = range.Offset, Length = range.Length };

    public static V1.Owner ToWire(this LeaseOwner owner) => new() { Uid = owner.Uid, Gid = owner.Gid, Pid = owner.Pid, Comm = owner.Comm };

    /// <summary>The numbers are the same.</summary>
    public static V1.LeaseState ToWire(this LeaseState state) => (V1.LeaseState)state;

    /// <summary>The numbers are the same.</summary>
    public static V1.EndReason ToWire(this EndReason reason) => (V1.EndReason)reason;

    public static V1.Access ToWire(this BufferAccess access) => access switch
    {
        BufferAccess.ReadWrite => V1.Access.ReadWrite,
        BufferAccess.ReadOnly => V1.Access.ReadOnly,
        _ => throw new ArgumentOutOfRangeException(nameof(access), access, null),
    };

    public static V1.MemoryAttribute ToWire(this MemoryAttribute attribute) => attribute switch
    {
        MemoryAttribute.NonCached => V1.MemoryAttribute.NonCached,
        MemoryAttribute.WriteCombining => V1.MemoryAttribute.WriteCombining,
        _ => throw new ArgumentOutOfRangeException(nameof(attribute), attribute, null),
    };

    /// <summary>A deadline that has passed and was not acted on yet is zero, never negative.</summary>
    public static Duration ToWire(this TimeSpan span) => Duration.FromTimeSpan(span < TimeSpan.Zero ? TimeSpan.Zero : span);
}
