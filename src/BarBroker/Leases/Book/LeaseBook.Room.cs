// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Policy;
using BarBroker.Pools;

namespace BarBroker.Leases;

/// <content>Whether a device has room for what is asked for, and a new lease that takes it.</content>
internal sealed partial class LeaseBook
{
    private static ulong SizeOf(BufferRequest buffer)
    {
        ulong size = buffer.Size;
        foreach (BarRange range in buffer.Ranges.IsDefault ? [] : buffer.Ranges)
            size = range.Length > ulong.MaxValue - size ? ulong.MaxValue : size + range.Length;
        return size;
    }

    private static ulong BytesOf(AcquireRequest request)
    {
        UInt128 bytes = 0;
        foreach (BufferRequest buffer in request.Buffers)
            bytes += SizeOf(buffer);
        return (ulong)UInt128.Min(bytes, ulong.MaxValue);
    }

    /// <param name="promised">What is kept for waiters of the uid that come before.</param>
    private LeaseException? QuotaRefusal(ulong bytes, uint uid, LeaseTerms terms, (int Leases, UInt128 Bytes) promised = default)
    {
        UidAccount? account = _accounts.GetValueOrDefault(uid);
        if (UidAccount.Affords(account, bytes, terms, promised))
            return null;
        int leases = account?.Leases ?? 0;
        string rule = terms.Rule is null ? "" : $"policy rule {terms.RuleName}: ";
        string kept = promised.Leases > 0 ? $", with {promised.Leases} ({ByteText.Of((ulong)UInt128.Min(promised.Bytes, ulong.MaxValue))}) kept for its requests that wait" : "";
        return new LeaseException(LeaseError.Quota, leases + promised.Leases >= terms.MaxLeases
            ? $"{rule}uid {uid} has {leases} leases{kept}, and {terms.MaxLeases} is its quota; release some first"
            : $"{rule}uid {uid} has {ByteText.Of(account?.Bytes ?? 0)} in leases{kept}; another 0x{bytes:x} bytes would pass its quota of {ByteText.Of(terms.MaxBytes)}; release some first");
    }

    /// <summary>The first device, in the order of the configuration, that will do. If none will, the refusal that is nearest to a grant.</summary>
    private Lease PlaceAnywhere(AcquireRequest request, OwnerRecord record, LeaseTerms terms)
    {
        LeaseException? nearest = null;
        foreach (DeviceSlot slot in _slots)
        {
            if (!IsFor(slot, request, terms))
                continue;
            if (TryPlace(slot, request, record, out LeaseException? refusal) is { } lease)
                return lease;
            nearest = Nearer(nearest, refusal!);
        }

        throw nearest ?? NoDevice(request, terms);
    }

    /// <summary>The one that is nearer to a grant; of two that are alike the first.</summary>
    private static LeaseException Nearer(LeaseException? first, LeaseException second) =>
        first is null || Rank(second.Error) < Rank(first.Error) ? second : first;

    /// <summary>How near a refusal is to a grant.</summary>
    private static int Rank(LeaseError error) => error switch
    {
        LeaseError.NoRoom or LeaseError.Quota => 0,
        LeaseError.Unavailable => 1,
        LeaseError.Unsupported => 2,
        _ => 3,
    };

    private LeaseException NoDevice(AcquireRequest request, LeaseTerms terms) => _slots.Length == 0
        ? new LeaseException(LeaseError.Unavailable, "no device is configured; ask the operator")
        : request.Source is not null && !_slots.Any(s => request.Source.Covers(s.Name))
        ? new LeaseException(LeaseError.Unavailable, $"pool {request.Pool} is on none of the devices that there are; ask the operator") { Field = "pool" }
        : new LeaseException(LeaseError.Denied, $"policy rule {terms.RuleName} allows none of the devices that there are; ask the operator") { Field = "device" };

    /// <summary>A lease with its ranges taken, or null and the refusal.</summary>
    private Lease? TryPlace(DeviceSlot slot, AcquireRequest request, OwnerRecord record, out LeaseException? refusal)
    {
        refusal = CheckSlot(slot, record.Owner.Uid) ?? CheckFit(request, slot);
        if (refusal is not null)
            return null;
        var lease = new Lease(_nextEpoch, slot, record, request);
        var buffers = new LeaseBuffer?[request.Buffers.Length];
        // First what names its place, so that what does not is not put there.
        refusal = TakeRanges(lease, request, buffers, explicitOnes: true) ?? TakeRanges(lease, request, buffers, explicitOnes: false);
        if (refusal is null)
        {
            lease.Buffers = [.. buffers!];
            _nextEpoch++;
            return lease;
        }

        foreach (LeaseBuffer? taken in buffers)
        {
            foreach (BarRange range in taken?.Ranges ?? [])
                slot.Bars[taken!.Bar]!.Release(range, lease, quarantined: false);
        }

        if (Arrange(slot, lease, request) is not { } arranged)
            return null;
        foreach (LeaseBuffer buffer in arranged)
        {
            foreach (BarRange range in buffer.Ranges)
                slot.Bars[buffer.Bar]!.Take(range, lease, lease.IsReadOnly);
        }

        refusal = null;
        lease.Buffers = [.. arranged];
        _nextEpoch++;
        return lease;
    }

    private static LeaseException? CheckSlot(DeviceSlot slot, uint uid)
    {
        if (!slot.IsOpen)
            return Unavailable(slot.Name, $"device {slot.Name} is not available: {slot.Detail}");
        if (slot.IsCordoned)
            return Unavailable(slot.Name, $"device {slot.Name} is {string.Join("; ", slot.Cordons)}; the operator must uncordon it");
        RevocationDomain domain = slot.Description!.Domain;
        if (domain == RevocationDomain.None)
            return Unavailable(slot.Name, $"device {slot.Name} is not served, because access to it cannot be revoked: {slot.Description.Detail}");
        if (slot.IsOtherUsers(uid) && slot.Leases.First() is { } other)
            return new(LeaseError.NoRoom, $"device {slot.Name} can only be revoked as a whole, so it serves one user at a time, now that of lease {other.Id}") { LeaseId = other.Id, Device = slot.Name };
        return null;
    }

    private static LeaseException? TakeRanges(Lease lease, AcquireRequest request, LeaseBuffer?[] buffers, bool explicitOnes)
    {
        for (int i = 0; i < buffers.Length; i++)
        {
            BufferRequest wanted = request.Buffers[i];
            bool isExplicit = wanted.Size == 0;
            if (isExplicit != explicitOnes)
                continue;
            LeaseException? refusal = isExplicit ? TakeExplicit(lease, wanted) : null;
            ImmutableArray<BarRange> ranges = wanted.Ranges;
            if (!isExplicit && Follow(request.Buffers, buffers, i) is { } range)
                refusal = TakeExplicit(lease, wanted with { Ranges = ranges = [range] });
            else if (!isExplicit && !Take(lease, wanted, out ranges))
                refusal = NoRoom(lease.Slot, wanted, i);
            if (refusal is not null)
                return refusal;
            buffers[i] = new LeaseBuffer(wanted.Bar, ranges, SizeOf(wanted));
        }

        return null;
    }

    private static bool Take(Lease lease, BufferRequest wanted, out ImmutableArray<BarRange> ranges)
    {
        RangeAllocator<Lease> bar = lease.Slot.Bars[wanted.Bar]!;
        return bar.TryTake(wanted.Size, wanted.Alignment, wanted.AllowSplit, lease, lease.IsReadOnly, out ranges, bar.Area(wanted.Of));
    }

    /// <summary>Takes all ranges of the buffer or none.</summary>
    private static LeaseException? TakeExplicit(Lease lease, BufferRequest wanted)
    {
        RangeAllocator<Lease> bar = lease.Slot.Bars[wanted.Bar]!;
        foreach (BarRange range in wanted.Ranges)
        {
            if (bar.FindConflict(range, lease.IsReadOnly) is { } holder)
            {
                if (holder.IsPlaceholder)
                    return new(LeaseError.NoRoom, $"range {range} of BAR {wanted.Bar} of {lease.Slot.Name} is kept for a request that waits for it") { Device = lease.Slot.Name };
                string why = holder.IsLive ? "is held by" : "waits for proof that access has ended of";
                return new(LeaseError.NoRoom, $"range {range} of BAR {wanted.Bar} of {lease.Slot.Name} {why} lease {holder.Id}") { LeaseId = holder.Id, Device = lease.Slot.Name };
            }
        }

        foreach (BarRange range in wanted.Ranges)
            bar.Take(range, lease, lease.IsReadOnly);
        return null;
    }

    private static LeaseException NoRoom(DeviceSlot slot, BufferRequest wanted, int index)
    {
        RangeArea<Lease> area = slot.Bars[wanted.Bar]!.Area(wanted.Of)!;
        string place = wanted.Of is null ? $"BAR {wanted.Bar} of {slot.Name}" : $"pool {PoolOf(slot, wanted).Pool.Name} on {slot.Name}";
        string alignment = wanted.Alignment > 0 ? $" aligned to 0x{wanted.Alignment:x}" : "";
        string kept = slot.Waiters.Count > 0 ? ", apart from what is kept for requests that wait" : "";
        string split = wanted.AllowSplit ? $", also not in {RangeAllocator<Lease>.MaxRanges} ranges" : "";
        string what = wanted.Of is SlotBuffer
            ? $"{place} has no free slot{kept}"
            : $"{place} has no room for {ByteText.Of(wanted.Size)}{alignment}{split}: {ByteText.Of(area.Free)} are free{(slot.Pools.IsEmpty || wanted.Of is not null ? "" : " outside of pools")}, the largest range {ByteText.Of(area.LargestFree)}{kept}";
        return new(LeaseError.NoRoom, what)
        {
            Field = wanted.Of switch { SlotBuffer => "pool", null => $"buffers[{index}].size", _ => $"buffers[{index - PoolOf(slot, wanted).Pool.SlotBuffers}].size" },
            Device = slot.Name,
        };
    }
}
