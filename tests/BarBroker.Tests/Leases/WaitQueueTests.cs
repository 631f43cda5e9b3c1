// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;
using BarBroker.Policy;
using CsCheck;

namespace BarBroker.Tests.Leases;

public sealed class WaitQueueTests
{
    private const int Patience = 10;

    [Fact]
    public void Add_EqualPriorities_InTheOrderOfComing()
    {
        Assert.Equal([0, 1, 2], OrderOf((0, 0), (0, 1), (0, 2)));
    }

    [Fact]
    public void Add_HigherPriority_AheadOfLowerBehindEqual()
    {
        Assert.Equal([1, 3, 0, 2], OrderOf((0, 0), (5, 1), (0, 2), (5, 3)));
    }

    [Fact]
    public void Add_AfterPatience_BehindTheSeniorAndWhoeverIsAheadOfIt()
    {
        // The third goes ahead of the second, which is no senior yet, and not of the first, which is one.
        Assert.Equal([0, 2, 1], OrderOf((0, 0), (0, 5), (9, 12)));
        Assert.Equal([1, 0, 2], OrderOf((0, 0), (1, 5), (9, 12)));
    }

    [Fact]
    public void Add_RandomHistory_NobodyComesAheadOfASeniorAndTheOrderNeverChanges()
    {
        Gen.Select(Gen.Int[-3, 3], Gen.Int[0, 4], Gen.Int[0, 3]).Array[1, 60].Sample(history =>
        {
            var queue = new WaitQueue();
            long now = 0;
            foreach (var (priority, pause, kind) in history)
            {
                now += pause;
                Waiter[] before = All(queue);
                if (kind == 0 && before.Length > 0)
                {
                    Waiter gone = before[(priority + 3) % before.Length];
                    queue.Remove(gone);
                    Assert.Equal(before.Where(w => w != gone), All(queue));
                    continue;
                }

                Waiter waiter = Make(priority, now);
                queue.Add(waiter, now);
                int at = queue.IndexOf(waiter);
                Assert.Equal(before, All(queue).Where(w => w != waiter));
                Assert.All(before.Skip(at), w => Assert.True(w.Priority < priority && now < w.SeniorAt, "overtaken"));
                Assert.True(at == 0 || before[at - 1].Priority >= priority || now >= before[at - 1].SeniorAt, "behind one that it should have overtaken");
            }
        });
    }

    private static Waiter[] All(WaitQueue queue) => [.. Enumerable.Range(0, queue.Count).Select(i => queue[i])];

    private static int[] OrderOf(params (int Priority, long At)[] waiters)
    {
        var queue = new WaitQueue();
        Waiter[] made = [.. waiters.Select(w => Make(w.Priority, w.At))];
        foreach (Waiter waiter in made)
            queue.Add(waiter, waiter.Since);
        return [.. All(queue).Select(w => Array.IndexOf(made, w))];
    }

    private static Waiter Make(int priority, long now) => new(
        LeaseFixture.Sized(LeaseFixture.Page),
        new OwnerRecord(LeaseFixture.Owner()),
        new LeasePolicy(new LeaseOptions { Rules = [new PolicyRule("r", PolicyMatch.Everybody, Lease: new LeaseRule { MinPriority = priority, MaxPriority = priority })] }).Decide(LeaseFixture.Sized(LeaseFixture.Page), LeaseFixture.Owner()),
        LeaseFixture.Page,
        [])
    {
        Since = now,
        SeniorAt = now + Patience,
    };
}
