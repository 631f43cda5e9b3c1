// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

internal sealed partial class ModelWorld
{
    private static readonly LeaseFilter Everything = LeaseFilter.All with { IncludeEnded = true };

    /// <summary>Compares each lease with what the step may and must have done to it.</summary>
    private void Reconcile()
    {
        CheckEvents();
        // What a close ends that was planned; else a close is for the revoke of one.
        EndReason[] closing = [.. _devices.Select(static d => d.Plan?.Reason ?? EndReason.DeviceReset)];
        // Before what was granted: that may be the first after the last.
        ExpectEarlyCloses();
        ExpectStuckUncordons();
        AdoptGranted();
        ExpectEndsOfWaits();
        Dictionary<string, LeaseInfo> infos = Manager.List(Everything).ToDictionary(static l => l.Id);
        ExpectCollateral(infos, closing);
        foreach (ModelLease lease in _leases.ToArray())
        {
            if (!infos.TryGetValue(lease.Id, out LeaseInfo? info))
            {
                (LeaseState state, EndReason reason) = ToldLast(lease.Id);
                Assert.True(state == LeaseState.Ended, $"{lease.Id} was forgotten before it ended");
                Decide(lease, reason);
                lease.Ended = true;
                _leases.Remove(lease);
                continue;
            }

            AdoptPreemption(lease, info);
            Decide(lease, info.EndReason);
            Assert.Equal(lease.Live, info.State < LeaseState.Revoking);
            ObserveStuck(lease, info);
            if (lease.Live)
            {
                Assert.Equal(lease.State, info.State);
                CheckInfo(lease, info);
            }

            Assert.False(lease.Ended && info.State != LeaseState.Ended, $"{lease.Id} came back");
            lease.Ended = info.State == LeaseState.Ended;
            Assert.Equal((info.State, info.EndReason), ToldLast(lease.Id));
        }

        CheckKills();
        ObserveQueues();
        _granted.Clear();
        _overtaken.Clear();
    }

    /// <summary>Where a device can only be revoked as a whole, the end of one exported lease is the end of all.</summary>
    private void ExpectCollateral(Dictionary<string, LeaseInfo> infos, EndReason[] closing)
    {
        foreach (IGrouping<int, ModelLease> group in _leases.GroupBy(static l => l.Device))
        {
            FakeDevice fake = _fixture.Devices[group.Key];
            bool mayFail = fake.ExportsUntilFailure is not null || !IsOpen(Manager.Device(fake.Name).State);
            // An export that failed in the middle is revoked as any other.
            ModelLease[] ending = [.. group.Where(l => !infos.TryGetValue(l.Id, out LeaseInfo? i) || (i.EndReason != EndReason.None && !l.Ended))];
            foreach (ModelLease lease in group.Where(static l => l.Live))
            {
                if (!lease.Granted && (mayFail || (fake.FailFill && lease.Pool == ModelPools.Queues.Name)))
                    lease.May.Add(EndReason.DeviceLost);
                if (Domain(group.Key) != RevocationDomain.Device || !Array.Exists(ending, e => e != lease))
                    continue;
                lease.May.Add(closing[group.Key]);
                lease.Must |= lease.Granted && Array.Exists(ending, e => e != lease && e.Granted && infos.TryGetValue(e.Id, out LeaseInfo? i) && i.State != LeaseState.Ended);
            }
        }
    }

    private void Decide(ModelLease lease, EndReason reason)
    {
        if (!lease.Live)
        {
            Assert.Equal((lease.Id, lease.Decided), (lease.Id, reason));
            return;
        }

        Assert.False(lease.Must && reason == EndReason.None, $"{lease.Id} lives on after {string.Join(" or ", lease.May)}");
        Assert.True(reason == EndReason.None || lease.May.Contains(reason), $"{lease.Id} ended with {reason}, for which there is no cause; there is one for {string.Join(", ", lease.May)}");
        lease.Decided = reason;
        lease.DecidedAt = _now;
        if (reason == EndReason.DeviceLost && _fixture.Devices[lease.Device].FailFill && lease.Pool == ModelPools.Queues.Name && !lease.Granted)
            _tally.Count(Deed.ScrubFailed);
        lease.May.Clear();
        lease.Must = false;
        if (reason == EndReason.None)
            return;
        foreach (PendingCall call in lease.Calls)
            call.Refusal();
        lease.Calls.Clear();
    }

    private void CheckInvariants()
    {
        ImmutableArray<LeaseInfo> infos = Manager.List(Everything);
        Assert.True(infos.Count(static l => l.State == LeaseState.Ended) <= Options.EndedLeasesKept, "more ended leases than are to be kept");
        Assert.All(_leases.Where(static l => l.Live), l => Assert.True(_now < l.LifeDeadline || _isBeforeSweep, $"{l.Id} lives after its maximum lifetime"));
        CheckPools();
        for (int d = 0; d < DeviceCount; d++)
        {
            FakeDevice fake = _fixture.Devices[d];
            Assert.Empty(fake.Violations);
            LeaseInfo[] held = [.. infos.Where(l => l.Device == fake.Name && l.State != LeaseState.Ended)];
            DeviceInfo device = Manager.Device(fake.Name);
            Assert.Equal(held.Length, device.Leases);
            CheckDevice(d);
            if (Domain(d) == RevocationDomain.Device && d != 2)
                Assert.True(held.Select(static l => l.Owner.Uid).Distinct().Count() <= 1, "two users on a device that can only be revoked as a whole");
            CheckAccess(fake, held);
            ImmutableArray<Segment> segments = Manager.Segments(fake.Name);
            foreach (BarUsage bar in device.Bars)
                CheckBar(bar, held, [.. segments.Where(s => s.Bar == bar.Bar)]);
        }
    }

    /// <summary>What somebody can reach belongs to a lease that has not ended: no range is free before the proof.</summary>
    private static void CheckAccess(FakeDevice fake, LeaseInfo[] held)
    {
        List<LeaseBuffer> unexplained = [.. held.SelectMany(static l => l.Buffers)];
        foreach (ExportedBuffer buffer in fake.Accessible)
        {
            int index = unexplained.FindIndex(b => b.Bar == buffer.Bar && b.Ranges.SequenceEqual(buffer.Ranges));
            Assert.True(index >= 0, $"{fake.Name} BAR {buffer.Bar} {string.Join(" ", buffer.Ranges)} is accessible, and no lease holds it");
            unexplained.RemoveAt(index);
        }
    }

    /// <summary>The map of the BAR says of each page what the leases say.</summary>
    private static void CheckBar(BarUsage bar, LeaseInfo[] held, Segment[] segments)
    {
        ulong offset = 0;
        ulong free = 0, leased = 0, quarantined = 0, largest = 0;
        foreach (Segment segment in segments)
        {
            Assert.Equal(offset, segment.Range.Offset);
            offset = segment.Range.End;
            LeaseInfo[] holders = [.. held.Where(l => l.Buffers.Any(b => b.Bar == bar.Bar && b.Ranges.Any(r => r.Offset < segment.Range.End && segment.Range.Offset < r.End)))];
            Assert.Equal(holders.Select(static l => l.Id).Order(), segment.LeaseIds.Order());
            Assert.True(holders.Length <= 1 || holders.All(static l => l.Access == BufferAccess.ReadOnly), $"BAR {bar.Bar} {segment.Range} is held by {string.Join(", ", holders.Select(static l => l.Id))}");
            SegmentUse use = holders.Length == 0 ? SegmentUse.Free : holders.Any(static l => l.State >= LeaseState.Revoking) ? SegmentUse.Quarantined : SegmentUse.Leased;
            Assert.Equal(use, segment.Use);
            free += use == SegmentUse.Free ? segment.Range.Length : 0;
            leased += use == SegmentUse.Leased ? segment.Range.Length : 0;
            quarantined += use == SegmentUse.Quarantined ? segment.Range.Length : 0;
            // Outside of pools.
            largest = use == SegmentUse.Free && segment.Range.Offset < (ulong)ModelPools.Area(bar.Bar, null).Count * Page ? Math.Max(largest, segment.Range.Length) : largest;
        }

        Assert.Equal(bar.Size, offset);
        Assert.Equal((free, leased, quarantined, largest), (bar.Free, bar.Leased, bar.Quarantined, bar.LargestFree));
    }
}
