// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using System.Numerics;
using BarBroker.Leases;

namespace BarBroker.Journal;

/// <summary>What is written of a lease.</summary>
internal static class LeaseEntries
{
    /// <summary>Unspecified: only the lease's record is of interest, not when it came to that.</summary>
    public static V1.HistoryKind KindOf(LeaseInfo lease) => lease.State switch
    {
        LeaseState.Granted => V1.HistoryKind.Granted,
        LeaseState.Recalled when lease.RecallAcknowledged => V1.HistoryKind.Acknowledged,
        LeaseState.Recalled => V1.HistoryKind.Recalled,
        LeaseState.Ended => V1.HistoryKind.Ended,
        // It is told anew with each attempt, and there may be many of them.
        LeaseState.Stuck when BitOperations.IsPow2(lease.RevokeAttempts) => V1.HistoryKind.Stuck,
        _ => V1.HistoryKind.Unspecified,
    };

    public static V1.HistoryEvent Event(V1.HistoryKind kind, V1.Lease lease)
    {
        var what = new V1.HistoryEvent { Kind = kind };
        if (kind == V1.HistoryKind.Unspecified)
        {
            return what;
        }

        what.LeaseId = lease.Id;
        what.Epoch = lease.Epoch;
        what.Device = lease.Device;
        what.Owner = lease.Owner;
        what.PolicyRule = lease.PolicyRule;
        (what.Reason, what.Detail) = kind switch
        {
            V1.HistoryKind.Granted => (V1.EndReason.Unspecified, Text(lease.Buffers)),
            V1.HistoryKind.Recalled or V1.HistoryKind.Acknowledged => (lease.RecallReason, lease.RecallDetail),
            V1.HistoryKind.Stuck => (lease.EndReason, lease.RevokeError),
            _ => (lease.EndReason, lease.EndDetail),
        };
        what.Count = kind == V1.HistoryKind.Stuck ? lease.RevokeAttempts : 0;
        return what;
    }

    /// <summary>As barctl takes them: <c>0:0x4000+0x1000,0x0+0x1000</c>, a blank between buffers.</summary>
    public static string Text(IEnumerable<V1.Buffer> buffers) => string.Join(' ', buffers.Select(static buffer => string.Create(
        CultureInfo.InvariantCulture, $"{buffer.Bar}:{string.Join(',', buffer.Ranges.Select(static range => string.Create(CultureInfo.InvariantCulture, $"0x{range.Offset:x}+0x{range.Length:x}")))}")));
}
