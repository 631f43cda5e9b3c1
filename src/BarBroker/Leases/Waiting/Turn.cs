// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;

namespace BarBroker.Leases;

/// <summary>One look at the queue of a device, from the front: what was kept so far for those ahead. Undone before the lease book's lock is left.</summary>
internal sealed class Turn(DeviceSlot slot)
{
    private readonly List<(int Bar, BarRange Range)> _kept = [];
    private readonly List<(Waiter Waiter, LeaseBuffer Buffer, bool IsShared)> _reserved = [];
    private Dictionary<uint, (int Leases, UInt128 Bytes)>? _promised;

    public DeviceSlot Slot => slot;

    /// <summary>The device can only be revoked as a whole, and the next turn is another user's: nobody behind gets anything.</summary>
    public bool IsTaken { get; private set; }

    public int KeptCount => _kept.Count;

    /// <summary>A turn that has come to this waiter, to find a place; nothing is reserved in the allocators.</summary>
    public static Turn AheadOf(DeviceSlot slot, Waiter waiter, Func<uint, UidAccount?> accountOf)
    {
        var turn = new Turn(slot);
        for (int i = 0; i < slot.Waiters.Count && slot.Waiters[i] != waiter; i++)
        {
            Waiter ahead = slot.Waiters[i];
            if (ahead.Target == slot && !turn.IsTaken && turn.Affords(ahead, accountOf(ahead.Uid)))
                turn.Note(ahead);
        }

        return turn;
    }

    /// <summary>Whether its quota would let the waiter have what it asks for, on top of what is kept for its user's other waiters.</summary>
    public bool Affords(Waiter waiter, UidAccount? account) => UidAccount.Affords(account, waiter.Bytes, waiter.Terms, PromisedTo(waiter.Uid));

    /// <summary>What is kept for the uid's waiters so far.</summary>
    public (int Leases, UInt128 Bytes) PromisedTo(uint uid) => _promised?.GetValueOrDefault(uid) ?? default;

    /// <summary>Its place is still one that nobody ahead is to get. Named ranges are not: there it waits behind them.</summary>
    public bool IsFreeOfOthers(Waiter waiter)
    {
        for (int i = 0; i < waiter.Place.Length; i++)
        {
            LeaseBuffer buffer = waiter.Place[i];
            if (waiter.Request.Buffers[i].Size > 0 && buffer.Ranges.Any(r => IsKept(buffer.Bar, r)))
                return false;
        }

        return true;
    }

    public bool IsKept(int bar, BarRange range) => _kept.Exists(k => k.Bar == bar && k.Range.Offset < range.End && range.Offset < k.Range.End);

    public List<BarRange> Kept(int bar) => [.. _kept.Where(k => k.Bar == bar).Select(static k => k.Range)];

    public void Keep(LeaseBuffer buffer)
    {
        foreach (BarRange range in buffer.Ranges)
            _kept.Add((buffer.Bar, range));
    }

    public void KeepOnly(int count) => _kept.RemoveRange(count, _kept.Count - count);

    /// <summary>Keeps the waiter's place from those who come after it in this turn.</summary>
    public void Reserve(Waiter waiter)
    {
        Note(waiter);
        for (int i = 0; i < waiter.Place.Length; i++)
        {
            LeaseBuffer buffer = waiter.Place[i];
            bool isShared = waiter.Shares(i);
            _reserved.Add((waiter, buffer, isShared));
            foreach (BarRange range in buffer.Ranges)
                slot.Bars[buffer.Bar]!.Reserve(range, waiter.Placeholder, isShared);
        }
    }

    public void Undo()
    {
        foreach (var (waiter, buffer, isShared) in _reserved)
        {
            foreach (BarRange range in buffer.Ranges)
                slot.Bars[buffer.Bar]!.Unreserve(range, waiter.Placeholder, isShared);
        }
    }

    private void Note(Waiter waiter)
    {
        IsTaken |= slot.IsOtherUsers(waiter.Uid);
        var (leases, bytes) = (_promised ??= []).GetValueOrDefault(waiter.Uid);
        _promised[waiter.Uid] = (leases + 1, bytes + waiter.Bytes);
        foreach (LeaseBuffer buffer in waiter.Place)
            Keep(buffer);
    }
}
