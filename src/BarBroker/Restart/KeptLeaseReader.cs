// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Journal;
using BarBroker.Leases;
using BarBroker.Linux;
using BarBroker.Wire;

namespace BarBroker.Restart;

/// <summary>Records as the lease book takes them up. What they say is checked there.</summary>
internal static class KeptLeaseReader
{
    public static KeptLease Read(EarlierLease record, BoardEntry board, ImmutableArray<FileDescriptor> files)
    {
        var lease = record.Lease;
        var marks = record.Marks;
        var owner = lease.Owner ?? new V1.Owner();
        return new KeptLease(
            lease.Epoch,
            [.. lease.Buffers.Select(static buffer => new LeaseBuffer((int)Math.Min(buffer.Bar, int.MaxValue), [.. buffer.Ranges.Select(static range => new BarRange(range.Offset, range.Length))], buffer.Size))],
            RequestReader.Read(lease.Access),
            RequestReader.Read(lease.MemoryAttribute),
            new LeaseOwner(owner.Uid, owner.Gid, owner.Pid, owner.Comm) { Groups = marks.Groups, Process = marks.Process },
            lease.Labels.ToImmutableDictionary(),
            (LeaseState)lease.State,
            (EndReason)lease.EndReason,
            lease.EndDetail,
            lease.Ttl?.ToTimeSpan() ?? TimeSpan.Zero,
            lease.HangLimit?.ToTimeSpan(),
            marks,
            board,
            files)
        {
            PolicyRule = lease.PolicyRule,
            Priority = lease.Priority,
            Pool = lease.Pool,
            RecallReason = (EndReason)lease.RecallReason,
            RecallDetail = lease.RecallDetail,
            RecallAcknowledged = lease.RecallAcknowledged,
            RevokeAttempts = (int)Math.Min(lease.RevokeAttempts, int.MaxValue),
            RevokeError = lease.RevokeError,
            Escalations = [.. lease.Escalations.Select(static step => new EscalationInfo((EscalationStep)step.Step, (EscalationOutcome)step.Outcome, step.Detail, step.Age?.ToTimeSpan() ?? TimeSpan.Zero))],
        };
    }
}
