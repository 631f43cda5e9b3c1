// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Pools;

namespace BarBroker.Leases;

internal sealed partial class LeaseBook
{
    public long EndedCount => Interlocked.Read(ref _endedCount);

    public LeaseInfo Get(string leaseId, uint? uid)
    {
        lock (_lock)
            return Find(leaseId, uid).ToInfo(_clock, _clock.Now);
    }

    /// <summary>Null: no such lease, or not one of this process.</summary>
    public LeaseInfo? FindOf(LeaseOwner owner, string leaseId)
    {
        lock (_lock)
            return _byId.TryGetValue(leaseId, out Lease? lease) && lease.Owner.Owner.IsSameProcess(owner) ? lease.ToInfo(_clock, _clock.Now) : null;
    }

    public ImmutableArray<LeaseInfo> List(LeaseFilter filter)
    {
        lock (_lock)
        {
            long now = _clock.Now;
            // The ended ones are many and rarely asked for.
            bool isLiveEnough = !filter.IncludeEnded && filter.States.IsDefaultOrEmpty;
            IEnumerable<Lease> candidates = isLiveEnough ? _slots.SelectMany(static s => s.Leases) : _byId.Values;
            return [.. candidates.Where(l => Matches(l, filter)).OrderBy(static l => l.Epoch).Select(l => l.ToInfo(_clock, now))];
        }
    }

    public ImmutableArray<DeviceInfo> Devices()
    {
        lock (_lock)
            return [.. _slots.Select(static s => s.ToInfo())];
    }

    public DeviceInfo Device(string name)
    {
        lock (_lock)
            return FindSlot(name).ToInfo();
    }

    public ImmutableArray<Segment> Segments(string device)
    {
        lock (_lock)
        {
            DeviceSlot slot = FindSlot(device);
            return [.. (slot.Description?.Bars ?? []).SelectMany(bar => ToSegments(slot, bar.Index))];
        }
    }

    /// <summary>Leases that have not ended, by state.</summary>
    public int Count(LeaseState state)
    {
        lock (_lock)
            return _countByState[(int)state];
    }

    /// <summary>Free slots that follow each other are one segment: there may be very many.</summary>
    private static List<Segment> ToSegments(DeviceSlot slot, int bar)
    {
        var segments = new List<Segment>();
        Dictionary<RangeArea<Lease>, string> pools = [];
        foreach (PoolFit fit in slot.Pools)
        {
            for (int i = 0; i < fit.Runs.Length; i++)
            {
                if (fit.Runs[i].Bar == bar)
                    pools[slot.Bars[bar]!.Area(fit.Pool.Buffers[i])!] = fit.Pool.Name;
            }
        }

        foreach (RangePiece<Lease> piece in slot.Bars[bar]!.Pieces)
        {
            string pool = pools.GetValueOrDefault(piece.Area!, "");
            if (piece.IsFree && segments is [.., { Use: SegmentUse.Free } last] && last.Pool == pool)
                segments[^1] = last with { Range = last.Range with { Length = last.Range.Length + piece.Length } };
            else
                segments.Add(ToSegment(bar, piece, pool));
        }

        return segments;
    }

    private static Segment ToSegment(int bar, RangePiece<Lease> piece, string pool) => new(
        bar,
        new BarRange(piece.Offset, piece.Length),
        piece.IsFree ? SegmentUse.Free : piece.Quarantines > 0 ? SegmentUse.Quarantined : SegmentUse.Leased,
        [.. piece.Holders().Select(static l => l.Id)],
        pool);

    private static bool Matches(Lease lease, LeaseFilter filter) =>
        (filter.Device.Length == 0 || lease.Slot.Name == filter.Device)
        && (filter.Uid is null || lease.Owner.Owner.Uid == filter.Uid)
        && (filter.Pid is null || lease.Owner.Owner.Pid == filter.Pid)
        && (filter.States.IsDefaultOrEmpty ? filter.IncludeEnded || lease.State != LeaseState.Ended : filter.States.Contains(lease.State))
        && filter.Labels.All(wanted => lease.Labels.TryGetValue(wanted.Key, out string? value) && value == wanted.Value);
}
