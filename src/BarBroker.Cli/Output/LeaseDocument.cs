// SPDX-License-Identifier: Apache-2.0

using Google.Protobuf.WellKnownTypes;

namespace BarBroker.Cli.Output;

/// <summary>A lease as barctl writes it; times are seconds, sizes bytes.</summary>
internal sealed record LeaseDocument(
    string Id,
    ulong Epoch,
    string Device,
    string State,
    string? EndReason,
    string EndDetail,
    string Access,
    string? MemoryAttribute,
    OwnerDocument Owner,
    IReadOnlyDictionary<string, string> Labels,
    IReadOnlyList<BufferDocument> Buffers,
    double? TtlSeconds,
    double? RemainingSeconds,
    double? AgeSeconds,
    double? HangLimitSeconds,
    double? RecallRemainingSeconds,
    uint RevokeAttempts,
    string RevokeError,
    string? PolicyRule,
    double? LifetimeRemainingSeconds,
    int Priority,
    string? RecallReason,
    string RecallDetail,
    bool RecallAcknowledged,
    string? Pool,
    uint? Slot,
    double? StuckForSeconds,
    IReadOnlyList<EscalationDocument> Escalations)
{
    public static LeaseDocument From(V1.Lease lease) => new(
        lease.Id,
        lease.Epoch,
        lease.Device,
        Words.Of(lease.State),
        Words.OrNull(lease.EndReason),
        lease.EndDetail,
        Words.Of(lease.Access),
        Words.OrNull(lease.MemoryAttribute),
        OwnerDocument.From(lease.Owner),
        lease.Labels.ToDictionary(),
        [.. lease.Buffers.Select(BufferDocument.From)],
        Seconds(lease.Ttl),
        Seconds(lease.Remaining),
        Seconds(lease.Age),
        Seconds(lease.HangLimit),
        Seconds(lease.RecallRemaining),
        lease.RevokeAttempts,
        lease.RevokeError,
        lease.PolicyRule.Length > 0 ? lease.PolicyRule : null,
        Seconds(lease.LifetimeRemaining),
        lease.Priority,
        Words.OrNull(lease.RecallReason),
        lease.RecallDetail,
        lease.RecallAcknowledged,
        lease.Pool.Length > 0 ? lease.Pool : null,
        lease.Slot,
        Seconds(lease.StuckFor),
        [.. lease.Escalations.Select(EscalationDocument.From)]);

    /// <summary>Bytes of all of its buffers.</summary>
    public ulong Size() => Buffers.Aggregate(0ul, static (sum, buffer) => sum + buffer.Size);

    private static double? Seconds(Duration? duration) => duration?.ToTimeSpan().TotalSeconds;
}
