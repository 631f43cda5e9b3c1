// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>Who waits for one device, in the order in which they are looked at. Not thread-safe: it belongs to the lease book's lock.</summary>
/// <remarks>
/// A newcomer goes ahead of those of lower priority, but never ahead of anybody who has waited until <see cref="Waiter.SeniorAt"/>, nor of whoever is ahead of
/// that one. The order never changes otherwise: from that time on, nobody comes between a waiter and its turn any more, whatever its priority.
/// </remarks>
internal sealed class WaitQueue
{
    private readonly List<Waiter> _waiters = [];

    public int Count => _waiters.Count;

    public Waiter this[int index] => _waiters[index];

    public void Add(Waiter waiter, long now)
    {
        int index = _waiters.Count;
        while (index > 0 && _waiters[index - 1].Priority < waiter.Priority && now < _waiters[index - 1].SeniorAt)
            index--;
        _waiters.Insert(index, waiter);
    }

    public void Remove(Waiter waiter) => _waiters.Remove(waiter);

    /// <summary>How many are looked at before it; -1 if it is not here.</summary>
    public int IndexOf(Waiter waiter) => _waiters.IndexOf(waiter);
}
