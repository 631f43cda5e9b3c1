// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

/// <content>What observers are told: each transition once, in order, and none back.</content>
internal sealed partial class ModelWorld
{
    private readonly Dictionary<string, LeaseInfo> _lastTold = [];
    private ulong _lastToldEpoch;
    private int _toldChecked;

    private void CheckEvents()
    {
        for (; _toldChecked < _fixture.Told.Count; _toldChecked++)
        {
            LeaseInfo info = _fixture.Told[_toldChecked];
            _tally.Count(info.State);
            _tally.Count(info.EndReason);
            if (info.Escalated is { Step: EscalationStep.Kill, Outcome: EscalationOutcome.Begun })
                _killsTold++;
            Assert.Equal(info.State >= LeaseState.Revoking, info.EndReason != EndReason.None);
            if (_lastTold.TryGetValue(info.Id, out LeaseInfo? before))
            {
                CheckTransition(before, info);
            }
            else
            {
                Assert.Equal((info.Id, LeaseState.Granted), (info.Id, info.State));
                Assert.True(info.Epoch > _lastToldEpoch, "grants are told in the order of their epochs");
                _lastToldEpoch = info.Epoch;
            }

            _lastTold[info.Id] = info;
        }
    }

    private static void CheckTransition(LeaseInfo before, LeaseInfo after)
    {
        bool isStep = (before.State, after.State) switch
        {
            // Ended from here: it had not been exported yet.
            (LeaseState.Granted, LeaseState.Active or LeaseState.Recalled or LeaseState.Revoking or LeaseState.Ended) => true,
            (LeaseState.Active, LeaseState.Recalled or LeaseState.Revoking) => true,
            // Again: with less time, acknowledged, or fetched.
            (LeaseState.Recalled, LeaseState.Recalled or LeaseState.Revoking or LeaseState.Ended) => true,
            (LeaseState.Revoking, LeaseState.Stuck or LeaseState.Ended) => true,
            (LeaseState.Stuck, LeaseState.Stuck) => after.RevokeAttempts >= before.RevokeAttempts,
            (LeaseState.Stuck, LeaseState.Ended) => true,
            _ => false,
        };
        Assert.True(isStep, $"{before.Id}: {after.State} is told after {before.State}");
        Assert.True(before.EndReason == EndReason.None || before.EndReason == after.EndReason, $"{before.Id} ended with {before.EndReason}, and then with {after.EndReason}");
        Assert.True(before.Epoch == after.Epoch && before.Buffers == after.Buffers && ReferenceEquals(before.Owner, after.Owner), $"{before.Id} became another lease");
        if (after.RecallRemaining is { } remaining && before.RecallRemaining is { } earlier)
            Assert.True(remaining <= earlier, $"{before.Id}: the recall was put off");
    }

    private (LeaseState State, EndReason Reason) ToldLast(string id) => _lastTold.TryGetValue(id, out LeaseInfo? last) ? (last.State, last.EndReason) : default;

    /// <summary>What is shown of a lease is what it was granted on, and when it will end.</summary>
    private void CheckInfo(ModelLease lease, LeaseInfo info)
    {
        Assert.Equal((lease.Ttl, lease.Hang, lease.Priority, lease.Rule), ((long)info.Ttl.TotalMilliseconds, (long)(info.HangLimit?.TotalMilliseconds ?? 0), info.Priority, info.PolicyRule));
        long ttl = lease.Granted ? lease.TtlDeadline : _now + lease.Ttl;
        Assert.Equal(Left(Math.Min(ttl, lease.LifeDeadline)), (long)info.Remaining!.Value.TotalMilliseconds);
        Assert.Equal(lease.LifeDeadline == ModelLease.Never ? (long?)null : Left(lease.LifeDeadline), (long?)info.LifetimeRemaining?.TotalMilliseconds);
        bool isRecalled = lease.State == LeaseState.Recalled;
        Assert.Equal(isRecalled ? Left(Math.Min(lease.RecallDeadline, lease.LifeDeadline)) : (long?)null, (long?)info.RecallRemaining?.TotalMilliseconds);
        Assert.Equal((isRecalled ? lease.RecallReason : EndReason.None, lease.Acknowledged), (info.RecallReason, info.RecallAcknowledged));
    }

    private long Left(long due) => Math.Max(0, due - _now);
}
