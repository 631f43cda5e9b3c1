// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;

namespace BarBroker.Leases;

internal sealed partial class LeaseBook
{
    public long EndedCount => Interlocked.Read(ref _endedCount);

    public LeaseInfo Get(string leaseId, uint? uid)
    {
        lock (_lock)
            return Find(leaseId, uid).ToInfo(_clock, _clock.Now);
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
            return [.. (slot.Description?.Bars ?? []).SelectMany(bar => slot.Bars[bar.Index]!.Pieces.Select(p => ToSegment(bar.Index, p)))];
        }
    }

    /// <summary>Leases that have not ended, by state.</summary>
    public int Count(LeaseState state)
    {
        lock (_lock)
            return _countByState[(int)state];
    }

    private static Segment ToSegment(int bar, RangePiece<Lease> piece) => new(
        bar,
        new BarRange(piece.Offset, piece.Length),
        piece.IsFree ? SegmentUse.Free : piece.Quarantines > 0 ? SegmentUse.Quarantined : SegmentUse.Leased,
        [.. piece.Holders().Select(static l => l.Id)]);

    private static bool Matches(Lease lease, LeaseFilter filter) =>
        (filter.Device.Length == 0 || lease.Slot.Name == filter.Device)
        && (filter.Uid is null || lease.Owner.Owner.Uid == filter.Uid)
        && (filter.Pid is null || lease.Owner.Owner.Pid == filter.Pid)
        && (filter.States.IsDefaultOrEmpty ? filter.IncludeEnded || lease.State != LeaseState.Ended : filter.States.Contains(lease.State))
        && filter.Labels.All(wanted => lease.Labels.TryGetValue(wanted.Key, out string? value) && value == wanted.Value);
}
