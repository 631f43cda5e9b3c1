// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Linux;

namespace BarBroker.Leases;

/// <summary>A lease of an earlier run, as its last record has it and the board goes on from there.</summary>
/// <param name="Files">What was kept of it, in the order of the buffers. Owned by whoever takes the lease up.</param>
internal sealed record KeptLease(
    ulong Epoch,
    ImmutableArray<LeaseBuffer> Buffers,
    BufferAccess Access,
    MemoryAttribute Attribute,
    LeaseOwner Owner,
    ImmutableDictionary<string, string> Labels,
    LeaseState State,
    EndReason EndReason,
    string EndDetail,
    TimeSpan Ttl,
    TimeSpan? HangLimit,
    LeaseMarks Marks,
    BoardEntry Board,
    ImmutableArray<FileDescriptor> Files)
{
    public string Id => LeaseId.FromEpoch(Epoch);

    public string PolicyRule { get; init; } = "";

    public int Priority { get; init; }

    /// <summary>Empty: none.</summary>
    public string Pool { get; init; } = "";

    public EndReason RecallReason { get; init; }

    public string RecallDetail { get; init; } = "";

    public bool RecallAcknowledged { get; init; }

    public int RevokeAttempts { get; init; }

    public string RevokeError { get; init; } = "";

    public ImmutableArray<EscalationInfo> Escalations { get; init; } = [];

    /// <summary>The buffers, once the device has taken them up.</summary>
    public ImmutableArray<ExportedBuffer> Exported { get; init; } = [];
}
