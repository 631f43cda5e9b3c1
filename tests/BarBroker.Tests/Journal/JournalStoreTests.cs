// SPDX-License-Identifier: Apache-2.0

using BarBroker.Journal;
using BarBroker.Leases;
using BarBroker.Wire;

namespace BarBroker.Tests.Journal;

public sealed class JournalStoreTests : JournalTestBase
{
    private const long Hour = 3_600_000_000_000;

    [Fact]
    public void Forget_ByAge_TheOldOnesGoAndLivingLeasesStay()
    {
        using var store = JournalStore.Open(Database);
        var (run, _) = store.FindRun(RunOf("a", boot: 0));
        var living = Acquire();
        store.Write(run, [Of(living, boot: 0), .. Enumerable.Range(0, 3000).Select(i => Note(i * (Hour / 1000)))], 1);

        while (store.Forget(run, oldest: 2 * Hour, maxBytes: ulong.MaxValue))
        {
        }

        var left = All(store);
        Assert.Equal(1000, left.Count);
        Assert.All(left, entry => Assert.True(entry.SinceBoot.ToTimeSpan() >= TimeSpan.FromHours(2)));
        Assert.Single(store.Unended());
    }

    [Fact]
    public void Forget_ByAgeAcrossBoots_TimesOfTheWallDoNotMatter()
    {
        using var store = JournalStore.Open(Database);
        var (first, _) = store.FindRun(RunOf("a", boot: 0));
        store.Write(first, [Note(Hour), Note(5 * Hour)], 1);

        // Another boot: its clock begins anew, and its wall clock is a year behind. The entries before are as old as the time that a broker has run since.
        var (second, _) = store.FindRun(RunOf("b", boot: Hour / 2));
        store.Write(second, [Note(Hour, wall: -1)], 1);
        while (store.Forget(second, oldest: Hour - (2 * Hour), ulong.MaxValue))
        {
        }

        Assert.Equal(2, All(store).Count);
        while (store.Forget(second, oldest: Hour, ulong.MaxValue))
        {
        }

        Assert.Single(All(store));
    }

    [Fact]
    public void Forget_BySize_TheOldestGoAndTheFileShrinks()
    {
        using var store = JournalStore.Open(Database);
        var (run, _) = store.FindRun(RunOf("a", boot: 0));
        for (int i = 0; i < 20; i++)
        {
            store.Write(run, [.. Enumerable.Range(0, 1000).Select(n => Note(n))], 1);
        }

        ulong before = store.UsedBytes;
        int steps = 0;
        while (store.Forget(run, oldest: -Hour, maxBytes: before / 4))
        {
            steps++;
        }

        Assert.InRange(store.UsedBytes, 1ul, before / 4);
        Assert.InRange(steps, 10, 60);
        Assert.Equal(20_000ul, All(store)[^1].Sequence);
        store.Dispose();
        Assert.InRange((ulong)new FileInfo(Database).Length, 1ul, before / 3);
    }

    [Fact]
    public void EndEarlier_LeasesOfAnotherBoot_EndByTheRestartOnce()
    {
        var lease = Acquire();
        using var store = JournalStore.Open(Database);
        var (first, _) = store.FindRun(RunOf("a", boot: 0));
        store.Write(first, [Of(lease, boot: 0)], 1);
        var next = RunOf("b", boot: 0);
        var (second, _) = store.FindRun(next);

        Assert.Equal(1, store.EndEarlier(second, next, 0, 0));
        Assert.Equal(0, store.EndEarlier(second, next, 0, 0));

        var ended = All(store)[^1];
        Assert.Equal((V1.HistoryKind.Ended, lease.Id, V1.EndReason.BrokerRestart, "the machine was restarted"), (ended.Kind, ended.LeaseId, ended.Reason, ended.Detail));
        Assert.Empty(store.Unended());
    }

    [Fact]
    public void FindRun_Again_KnowsWhatWasWritten()
    {
        var run = RunOf("a", boot: 0);
        using (var store = JournalStore.Open(Database))
        {
            store.Write(store.FindRun(run).Id, [Note(1)], 17);
        }

        using var again = JournalStore.Open(Database);
        Assert.Equal(17ul, again.FindRun(run).Written);
    }

    private static RunIdentity RunOf(string bootId, long boot) => new(Guid.NewGuid(), bootId, 1, "test", 0, boot);

    private static JournalEntry Note(long boot, long wall = 0) => new(new V1.HistoryEvent { Kind = V1.HistoryKind.Journal, Action = "test", Detail = new string('x', 100) }, null, default, wall, boot);

    private static JournalEntry Of(LeaseInfo lease, long boot)
    {
        var record = lease.ToWire();
        return new JournalEntry(LeaseEntries.Event(V1.HistoryKind.Granted, record), record, lease.Marks, 0, boot);
    }

    private static List<V1.HistoryEvent> All(JournalStore store)
    {
        var query = HistoryQuery.Read(new V1.HistoryRequest());
        return store.Page(query, 0, long.MaxValue, int.MaxValue);
    }
}
