// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>
/// A binary heap of everything that has a deadline. Each entry knows its place, so that it can be moved or taken out without a search.
/// </summary>
/// <remarks>
/// A heartbeat does not touch it: an entry may be queued for an earlier time than its true deadline. The sweep finds that out when that time comes and
/// queues it anew, which is once a TTL and not once a heartbeat.
/// </remarks>
internal sealed class DeadlineQueue
{
    private Deadline[] _heap = new Deadline[16];

    public int Count { get; private set; }

    public Deadline? Earliest => Count > 0 ? _heap[0] : null;

    public long EarliestDue => Count > 0 ? _heap[0].QueuedDue : Deadline.Never;

    /// <summary>Queues the entry for that time, or moves it there. <see cref="Deadline.Never"/> takes it out.</summary>
    public void Set(Deadline entry, long due)
    {
        if (due == Deadline.Never)
        {
            Remove(entry);
            return;
        }

        entry.QueuedDue = due;
        if (entry.QueueIndex < 0)
        {
            if (Count == _heap.Length)
                Array.Resize(ref _heap, Count * 2);
            Place(entry, Count++);
        }

        SiftUp(entry);
        SiftDown(entry);
    }

    private void Remove(Deadline entry)
    {
        int index = entry.QueueIndex;
        entry.QueuedDue = Deadline.Never;
        entry.QueueIndex = -1;
        if (index < 0)
            return;
        Deadline last = _heap[--Count];
        _heap[Count] = null!;
        if (ReferenceEquals(last, entry))
            return;
        Place(last, index);
        SiftUp(last);
        SiftDown(last);
    }

    private void Place(Deadline entry, int index)
    {
        _heap[index] = entry;
        entry.QueueIndex = index;
    }

    private void SiftUp(Deadline entry)
    {
        while (entry.QueueIndex > 0)
        {
            int index = entry.QueueIndex;
            Deadline parent = _heap[(index - 1) / 2];
            if (parent.QueuedDue <= entry.QueuedDue)
                return;
            Place(entry, parent.QueueIndex);
            Place(parent, index);
        }
    }

    private void SiftDown(Deadline entry)
    {
        while (true)
        {
            int index = entry.QueueIndex;
            int child = (2 * index) + 1;
            if (child >= Count)
                return;
            if (child + 1 < Count && _heap[child + 1].QueuedDue < _heap[child].QueuedDue)
                child++;
            Deadline smaller = _heap[child];
            if (smaller.QueuedDue >= entry.QueuedDue)
                return;
            Place(entry, child);
            Place(smaller, index);
        }
    }
}
