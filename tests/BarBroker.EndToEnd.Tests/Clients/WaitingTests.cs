// SPDX-License-Identifier: Apache-2.0

using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Testing;
using BarBroker.V1;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Mono.Unix.Native;

namespace BarBroker.EndToEnd.Tests.Clients;

/// <summary>Processes of two users that wait for each other's leases, and that take them from each other.</summary>
public sealed class WaitingTests : ClientsTestBase
{
    private const int All = 64;

    [Fact]
    public async Task Holder_Killed_TheNextOfAnotherUserGetsTheRange()
    {
        await StartAsync(OneDevice());
        var alice = await HoldAsync(await ProcessAsync("alice", Alice), Pages(All));
        var bob = await ProcessAsync("bob", Bob);
        var gone = await ProcessAsync("gone", Bob);
        var late = await ProcessAsync("late", Alice);
        var waits = LeaseHolder.HoldAsync(Broker, bob, Waiting(Pages(All), TimeSpan.FromMinutes(10)));
        await QueueAsync(1);
        var neverServed = LeaseHolder.AcquireAsync(Broker, gone, Waiting(Pages(1), TimeSpan.FromMinutes(10)));
        await QueueAsync(2);
        var tooLate = LeaseHolder.AcquireAsync(Broker, late, Waiting(Pages(1), TimeSpan.FromSeconds(2)));
        Assert.Equal([(1, bob.Pid), (2, gone.Pid), (3, late.Pid)], await QueueAsync(3));

        // One leaves by its death, one by its deadline.
        gone.Signal(Signum.SIGKILL);
        await Assert.ThrowsAnyAsync<Exception>(() => neverServed);
        var refusal = await Assert.ThrowsAsync<RpcException>(() => tooLate);
        Assert.Equal(StatusCode.ResourceExhausted, refusal.StatusCode);
        Assert.StartsWith("waited for 2 s: ", refusal.Status.Detail, StringComparison.Ordinal);
        Assert.Equal([(1, bob.Pid)], await QueueAsync(1));

        alice.Process.Signal(Signum.SIGKILL);

        var holder = Own(await waits);
        Assert.Equal((LeaseState.Active, Bob, bob.Pid), ((await LookAsync(holder.Lease.Id)).State, holder.Lease.Owner.Uid, holder.Lease.Owner.Pid));
        Assert.Equal(EndReason.ClientExited, (await EndOfAsync(alice.Lease.Id)).EndReason);
        Assert.Empty(await QueueAsync(0));
        Assert.Empty(Broker.Errors);
    }

    [Fact]
    public async Task HigherPriority_TakesTheYoungestAndNoMore_WhichHearsWhyAndWhen()
    {
        await StartAsync(OneDevice().Rules(
            $$"""{ "name": "low", "match": { "uid": {{Alice}} }, "lease": { "recallGrace": "3s" } }""",
            $$"""{ "name": "high", "match": { "uid": {{Bob}} }, "lease": { "defaultPriority": 10, "maxPriority": 10, "mayPreempt": true } }"""));
        var held = new List<LeaseHolder>();
        foreach (string name in new[] { "first", "second", "third", "fourth" })
        {
            held.Add(await HoldAsync(await ProcessAsync(name, Alice), Pages(All / 4)));
        }

        var high = Own(await LeaseHolder.HoldAsync(Broker, await ProcessAsync("high", Bob), Waiting(Pages(All / 4), TimeSpan.FromMinutes(10))));

        var victim = held[^1];
        var ended = await EndOfAsync(victim.Lease.Id);
        Assert.Equal((EndReason.Preempted, 10), (ended.EndReason, high.Lease.Priority));
        var notice = Assert.Single(victim.Process.Notices, lease => lease.State == LeaseState.Recalled);
        Assert.Equal((EndReason.Preempted, true), (notice.RecallReason, notice.RecallRemaining.ToTimeSpan() > TimeSpan.FromSeconds(1)));
        Assert.Contains("priority 10", notice.RecallDetail, StringComparison.Ordinal);
        Assert.Equal(victim.Lease.Buffers[0].Ranges, high.Lease.Buffers[0].Ranges);
        foreach (var other in held[..^1])
        {
            Assert.Equal((LeaseState.Active, 0), ((await LookAsync(other.Lease.Id)).State, other.Process.Notices.Count));
        }

        Assert.Empty(Broker.Errors);
    }

    private static AcquireRequest Waiting(AcquireRequest request, TimeSpan wait) => new(request) { Wait = Duration.FromTimeSpan(wait) };

    /// <summary>As barctl shows it to the operator.</summary>
    private async Task<IEnumerable<(int Position, int Pid)>> QueueAsync(int count)
    {
        (int, int)[] queue = [];
        await Wait.Until(
            async () => (queue = [.. (await BarctlAsync("lease", "queue")).Select(w => (w.GetProperty("position").GetInt32(), w.GetProperty("owner").GetProperty("pid").GetInt32()))]).Length == count,
            $"{count} acquires wait",
            Patience.Long);
        return queue;
    }
}
