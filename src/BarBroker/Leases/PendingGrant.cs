// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>
/// An acquire whose ranges are set aside, or that waits for some. <paramref name="Task"/> completes when the buffers are exported, or fails when the lease ended, or the wait
/// was over, before.
/// </summary>
internal readonly record struct PendingGrant(Claim Claim, Task<Grant> Task);
