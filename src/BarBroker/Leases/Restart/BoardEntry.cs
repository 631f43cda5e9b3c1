// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>What a <see cref="LeaseBoard"/> says of one lease.</summary>
/// <param name="DeviceKey">See <see cref="LeaseBoard.Key"/>.</param>
/// <param name="EndReason">None: its end was not decided.</param>
/// <param name="NotedAt">When its last record was noted; 0: there was none.</param>
internal sealed record BoardEntry(ulong Epoch, long DeviceKey, long TtlDeadline, ulong Progress, long ProgressAt, EndReason EndReason, long NotedAt, BoardPlace Place);
