// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Tests.Leases;

public sealed class DeadlineQueueTests
{
    [Fact]
    public void Set_RandomMovesAndRemovals_YieldsTheEarliestFirst()
    {
        var random = new Random(1);
        var queue = new DeadlineQueue();
        Entry[] entries = [.. Enumerable.Range(0, 200).Select(static _ => new Entry())];
        for (int i = 0; i < 5_000; i++)
        {
            queue.Set(entries[random.Next(entries.Length)], random.Next(4) == 0 ? Deadline.Never : random.Next(1_000));
            Assert.Equal(entries.Min(static e => e.QueuedDue), queue.EarliestDue);
            Assert.Equal(entries.Count(static e => e.QueuedDue != Deadline.Never), queue.Count);
        }

        long last = 0;
        while (queue.Earliest is { } entry)
        {
            Assert.True(entry.QueuedDue >= last);
            last = entry.QueuedDue;
            queue.Set(entry, Deadline.Never);
        }
    }

    private sealed class Entry : Deadline;
}
