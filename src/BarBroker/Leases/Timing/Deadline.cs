// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>Something that the sweep must look at, at some time. The fields belong to <see cref="DeadlineQueue"/>.</summary>
internal abstract class Deadline
{
    public const long Never = long.MaxValue;

    /// <summary>The timestamp it is queued for, not later than the true deadline.</summary>
    public long QueuedDue { get; set; } = Never;

    public int QueueIndex { get; set; } = -1;
}
