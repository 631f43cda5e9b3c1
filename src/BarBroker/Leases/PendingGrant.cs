// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>An acquire whose ranges are set aside. <paramref name="Task"/> completes when the buffers are exported, or fails when the lease ended before.</summary>
internal readonly record struct PendingGrant(Lease Lease, Task<Grant> Task);
