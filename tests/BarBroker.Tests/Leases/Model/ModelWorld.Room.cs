// SPDX-License-Identifier: Apache-2.0

using System.Numerics;
using BarBroker.Devices;
using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

/// <content>Whether there is room, page by page, and which place the rules say.</content>
internal sealed partial class ModelWorld
{
    private static ulong BytesOf(AcquireRequest request) => request.Buffers.Aggregate(0UL, static (sum, b) => sum + b.Size + b.Ranges.Aggregate(0UL, static (s, r) => s + r.Length));

    private static int PagesOf(int bar) => bar == 0 ? ModelPools.BarPages : 4 * ModelPools.BarPages;

    private static IEnumerable<int> PagesOf(BarRange range)
    {
        for (ulong page = range.Offset / Page; page < range.End / Page; page++)
            yield return (int)page;
    }

    /// <param name="ahead">Waiters that come before: what they are promised of the same user's is not to be had.</param>
    private bool IsOverQuota(AcquireRequest request, LeaseOwner owner, ModelTerms terms, ModelWaiter[] ahead)
    {
        ModelLease[] held = [.. _leases.Where(l => !l.Ended && l.Owner.Uid == owner.Uid)];
        ModelWaiter[] promised = [.. ahead.Where(a => a.Owner.Uid == owner.Uid)];
        return held.Length + promised.Length >= terms.MaxLeases
            || held.Aggregate(0UL, static (sum, l) => sum + l.Bytes) + promised.Aggregate(BytesOf(request), static (sum, p) => sum + BytesOf(p.Request)) > Options.MaxBytesPerUid;
    }

    private bool IsOtherUsers(int device, LeaseOwner owner) => device == 1 && _leases.Exists(l => !l.Ended && l.Device == device && l.Owner.Uid != owner.Uid);

    private LeaseError? PredictRefusal(AcquireRequest request, int device, LeaseOwner owner, ModelTerms terms)
    {
        if (_shuttingDown)
            return LeaseError.Unavailable;
        List<LeaseBuffer> kept = KeptAhead(device, request, _places, out bool isTaken);
        if (isTaken)
            return LeaseError.NoRoom;
        if (IsOverQuota(request, owner, terms, PromisedOf(device, _order[device].Take(Insertion(device, request.Priority ?? 0)), _places)))
            return LeaseError.Quota;
        DeviceState state = Manager.Device(Name(device)).State;
        if (state != DeviceState.Ready)
            return LeaseError.Unavailable;
        if (IsOtherUsers(device, owner))
            return LeaseError.NoRoom;
        if (HasRoom(device, request, kept))
            return null;
        if (HasRoom(device, request, []))
            _tally.Count(Deed.RefusedForKept);
        return LeaseError.NoRoom;
    }

    /// <summary>Which pages of a BAR are nobody's.</summary>
    /// <param name="kept">What is kept for somebody else.</param>
    private bool[] FreePages(int device, int bar, IEnumerable<LeaseBuffer> kept)
    {
        bool[] free = [.. Enumerable.Repeat(true, PagesOf(bar))];
        foreach (LeaseBuffer buffer in _leases.Where(l => !l.Ended && l.Device == device).SelectMany(static l => l.Buffers).Concat(kept).Where(b => b.Bar == bar))
        {
            foreach (int page in buffer.Ranges.SelectMany(PagesOf))
                free[page] = false;
        }

        return free;
    }

    /// <summary>Whether all buffers can be placed, tried in every way.</summary>
    private bool HasRoom(int device, AcquireRequest request, IReadOnlyCollection<LeaseBuffer> kept)
    {
        var free = new Dictionary<int, bool[]> { [0] = FreePages(device, 0, kept), [2] = FreePages(device, 2, kept) };
        foreach (BufferRequest named in request.Buffers.Where(static b => b.Size == 0))
        {
            foreach (int page in named.Ranges.SelectMany(PagesOf))
            {
                if (!free[named.Bar][page] && (!ModelPools.IsReadOnly(request) || !IsShared(device, named.Bar, page, kept)))
                    return false;
                free[named.Bar][page] = false;
            }
        }

        // In pieces: then nothing else of any place is wanted there.
        BufferRequest[] split = [.. request.Buffers.Where(static b => b.AllowSplit)];
        return Array.TrueForAll(split, b => UsablePages(b, free[b.Bar]) >= (int)(b.Size / Page))
            && Fits(ModelPools.Ways(request with { Buffers = [.. request.Buffers.Where(static b => !b.AllowSplit)] }), free, 0);
    }

    /// <summary>Everybody there only reads and lives, and it is not kept from further readers.</summary>
    private bool IsShared(int device, int bar, int page, IReadOnlyCollection<LeaseBuffer> kept) =>
        _leases.Where(l => !l.Ended && l.Device == device && Covers(l.Buffers, bar, page)).All(static l => l.ReadOnly && l.Live)
        && !kept.Where(k => !_sharedKept.Contains(k)).Any(k => k.Bar == bar && k.Ranges.Any(r => PagesOf(r).Contains(page)));

    private static bool Covers(IEnumerable<LeaseBuffer> buffers, int bar, int page) =>
        buffers.Any(b => b.Bar == bar && b.Ranges.Any(r => r.Offset <= (ulong)page * Page && (ulong)page * Page < r.End));

    private static bool Fits(ModelPools.Way[][] parts, Dictionary<int, bool[]> free, int index)
    {
        if (index == parts.Length)
            return true;
        foreach (ModelPools.Way way in parts[index])
        {
            if (way.Ranges.Any(r => Array.IndexOf(free[r.Bar], false, r.Start, r.Count) >= 0))
                continue;
            foreach (var (bar, start, count) in way.Ranges)
                Array.Fill(free[bar], false, start, count);
            bool fits = Fits(parts, free, index + 1);
            foreach (var (bar, start, count) in way.Ranges)
                Array.Fill(free[bar], true, start, count);
            if (fits)
                return true;
        }

        return false;
    }

    /// <summary>Each piece starts aligned.</summary>
    private static int UsablePages(BufferRequest wanted, bool[] free)
    {
        (int first, int count) = ModelPools.Area(wanted.Bar, wanted.Of);
        int step = (int)(Math.Max(wanted.Alignment, Page) / Page);
        int usable = 0;
        bool isUsable = false;
        for (int page = first; page < first + count; page++)
        {
            isUsable = free[page] && (isUsable || page % step == 0);
            usable += isUsable ? 1 : 0;
        }

        return usable;
    }

    /// <param name="kept">What was kept from it; null: not known, and so not which place the rule says.</param>
    private void CheckPlaces(int device, AcquireRequest request, LeaseInfo info, List<LeaseBuffer>? kept)
    {
        Assert.Equal(request.Buffers.Length, info.Buffers.Length);
        for (int i = 0; i < request.Buffers.Length; i++)
        {
            BufferRequest wanted = request.Buffers[i];
            LeaseBuffer got = info.Buffers[i];
            CheckShape(wanted, got, wanted.AllowSplit);
            // Several of any place in one BAR lie as they fit.
            if (wanted.Size > 0 && kept is not null && wanted.Of is not Pools.SlotBuffer && request.Buffers.Count(b => b.Size > 0 && b.Bar == wanted.Bar && b.Of == wanted.Of) == 1)
                CheckFit(wanted, got, FreePages(device, wanted.Bar, kept.Concat(info.Buffers.Where((_, n) => request.Buffers[n].Size == 0))));
        }
    }

    private static void CheckShape(BufferRequest wanted, LeaseBuffer got, bool maySplit)
    {
        Assert.Equal(wanted.Bar, got.Bar);
        if (wanted.Size == 0)
        {
            Assert.Equal(wanted.Ranges, got.Ranges);
            return;
        }

        Assert.Equal(wanted.Size, got.Size);
        Assert.Equal(wanted.Size, got.Ranges.Aggregate(0UL, static (sum, r) => sum + r.Length));
        Assert.True(maySplit || got.Ranges.Length == 1, "several ranges without leave");
        Assert.All(got.Ranges, r => Assert.True(BitOperations.TrailingZeroCount(r.Offset | (1UL << 63)) >= BitOperations.TrailingZeroCount(Math.Max(wanted.Alignment, Page)), $"{r} is not aligned to 0x{wanted.Alignment:x}"));
    }

    /// <summary>The smallest hole that holds it, the lowest of equals, at its lowest aligned offset; in pieces only if there is none.</summary>
    private static void CheckFit(BufferRequest wanted, LeaseBuffer got, bool[] free)
    {
        int step = (int)(Math.Max(wanted.Alignment, Page) / Page);
        (int first, int count) = ModelPools.Area(wanted.Bar, wanted.Of);
        (int Length, int Start)? best = null;
        for (int start = first; start < first + count; start++)
        {
            int end = start;
            while (end < first + count && free[end])
                end++;
            int aligned = (start + step - 1) / step * step;
            if (aligned + (int)(wanted.Size / Page) <= end && (best is null || end - start < best.Value.Length))
                best = (end - start, aligned);
            start = end;
        }

        if (best is { } hole)
            Assert.Equal((ulong)hole.Start * Page, Assert.Single(got.Ranges).Offset);
        else
            Assert.True(wanted.AllowSplit && got.Ranges.Length > 1, "several ranges without need");
    }
}
