// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux;
using BarBroker.Linux.Memory;
using BarBroker.Linux.ServiceManager;
using BarBroker.Restart;
using BarBroker.Testing;

namespace BarBroker.Tests.Restart;

[Collection(typeof(Alone))]
public sealed class DescriptorStoreTests : TestBase
{
    private const int StoreFull = 600;
    private const int NotStored = 601;
    private const int NotForgotten = 602;
    private const int NotSettled = 603;

    private const string Shared = "G/12/group";

    private ManagerSocket _manager = null!;

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        _manager = Own(new ManagerSocket());
    }

    [Fact]
    public void Keep_TwoFiles_ReachTheManagerByOneNameAndAreCounted()
    {
        var store = Store(capacity: 8);
        using var first = Memfd.Create("first", 1);
        using var second = Memfd.Create("second", 1);

        Assert.True(store.Keep("L1", [first, second]));

        Assert.Equal(("FDSTORE=1\nFDNAME=L1\nFDPOLL=0", "/memfd:first (deleted),/memfd:second (deleted)"), _manager.TryReceive());
        Assert.Equal(2, store.Count);
    }

    [Fact]
    public void Drop_NameOfSeveralFiles_AllAreForgottenAndTheOthersStayCounted()
    {
        var store = Store(capacity: 8);
        using var file = Memfd.Create("file", 1);
        store.Keep("L1", [file, file]);
        store.Keep("L1", [file]);
        store.Keep("L2", [file]);
        Receive(3);

        store.Drop("L1");

        Assert.Equal(("FDSTOREREMOVE=1\nFDNAME=L1", ""), _manager.TryReceive());
        Assert.Equal(1, store.Count);
    }

    [Fact]
    public void Drop_NothingByThatName_TheManagerIsToldAndNothingIsCounted()
    {
        // Where the last run has left something that this one has not counted, it goes all the same.
        var store = Store(capacity: 8);

        store.Drop("stranger");

        Assert.Equal("FDSTOREREMOVE=1\nFDNAME=stranger", _manager.TryReceive()?.State);
        Assert.Equal(0, store.Count);
    }

    [Fact]
    public void Keep_MoreThanCapacity_NothingIsGivenAndItIsToldOnce()
    {
        var store = Store(capacity: 3);
        using var file = Memfd.Create("file", 1);
        store.Found("board");
        store.Keep("L1", [file]);
        Receive(1);

        Assert.False(store.Keep("L2", [file, file]));
        Assert.False(store.Keep("L3", [file, file]));

        Assert.Null(_manager.TryReceive());
        Assert.Equal(2, store.Count);
        Assert.Single(Logs.Entries, static entry => entry.Event.Id == StoreFull);
        Assert.True(store.Keep("L4", [file]));
    }

    [Fact]
    public void Keep_FullAgainAfterADrop_IsToldAgain()
    {
        var store = Store(capacity: 1);
        using var file = Memfd.Create("file", 1);
        store.Keep("L1", [file]);
        Assert.False(store.Keep("L2", [file]));
        store.Drop("L1");
        Assert.True(store.Keep("L2", [file]));

        Assert.False(store.Keep("L3", [file]));

        Assert.Equal(2, Logs.Entries.Count(static entry => entry.Event.Id == StoreFull));
    }

    [Fact]
    public void Keep_NamesTooLongForOneVariable_IsRefusedBelowCapacity()
    {
        var store = Store(capacity: 100_000);
        using var file = Memfd.Create("file", 1);
        string name = new('n', 99);
        // With the separator, 100 bytes each, and room for a name of one letter.
        int names = (DescriptorStore.MaxNameBytes - 2) / 100;
        for (int i = 0; i < names; i++)
        {
            store.Found(name);
        }

        Assert.False(store.Keep(name, [file]));

        Assert.Equal((names, names), (store.Count, store.Limit));
        Assert.True(store.Keep("s", [file]));
    }

    [Fact]
    public void Limit_NothingKept_IsTheCapacity()
    {
        var store = Store(capacity: 4096);
        Assert.Equal(4096, store.Limit);

        store.Found("L1");

        Assert.Equal(4096, store.Limit);
    }

    [Fact]
    public void Keep_NobodyListens_IsNotCountedAndSaid()
    {
        Logs.Expect(NotStored);
        using var metrics = new MetricsReader();
        var store = Store(capacity: 8, metrics.Metrics);
        using var file = Memfd.Create("file", 1);
        _manager.Close();

        Assert.False(store.Keep("L1", [file, file]));

        Assert.Equal(0, store.Count);
        Assert.Contains(Logs.Entries, static entry => entry.Event.Id == NotStored && entry.Message.Contains("L1", StringComparison.Ordinal));
        Assert.Equal(2, metrics.Read("barbroker.store.failures", "not_taken"));
    }

    [Fact]
    public void Keep_FileIsClosed_ThrowsAndIsNotCounted()
    {
        var store = Store(capacity: 8);
        var file = Memfd.Create("file", 1);
        file.Dispose();

        Assert.Throws<ObjectDisposedException>(() => store.Keep("L1", [file]));

        Assert.Equal(0, store.Count);
        Assert.Null(_manager.TryReceive());
    }

    [Fact]
    public void Drop_NobodyListens_StaysCountedAndIsSaid()
    {
        // The manager keeps what it was not told to forget: fewer are given to it then, not more.
        Logs.Expect(NotForgotten);
        var store = Store(capacity: 8);
        using var file = Memfd.Create("file", 1);
        store.Keep("L1", [file]);
        _manager.Close();

        store.Drop("L1");

        Assert.Equal(1, store.Count);
        Assert.True(Logs.Contains(NotForgotten));
    }

    [Fact]
    public async Task Settle_ManagerComesToIt_ReturnsOnlyThen()
    {
        var store = Store(capacity: 8);
        store.Drop("L1");
        var settled = Task.Run(store.Settle, Cancellation);

        await Wait.Until(() => _manager.TryReceive() is { State: "BARRIER=1" }, "the manager comes to the barrier");

        await Wait.For(settled, "it is settled");
        Assert.False(Logs.Contains(NotSettled));
    }

    [Fact]
    public void Settle_NobodyListens_ReturnsAndSaysSo()
    {
        Logs.Expect(NotForgotten);
        var store = Store(capacity: 8);
        _manager.Close();

        store.Settle();

        Assert.True(Logs.Contains(NotForgotten));
    }

    [Fact]
    public async Task KeepAndDrop_FromManyThreads_TheCountIsWhatTheManagerHas()
    {
        var store = Store(capacity: 64);
        using var file = Memfd.Create("file", 1);
        var manager = _manager.CountAsync(until: "READY=1");
        // Threads of their own: they wait for the reader, whose continuations are the pool's.
        await Task.WhenAll(Enumerable.Range(0, 8).Select(worker => Task.Factory.StartNew(() => KeepAndDrop(store, $"L{worker}", file), Cancellation, TaskCreationOptions.LongRunning, TaskScheduler.Default)));
        new ServiceNotifier(_manager.Path).Send("READY=1");

        Assert.Equal(await Wait.For(manager, "everything is told"), store.Count);
        Assert.Equal(8 * 2, store.Count);
    }

    [Fact]
    public void Drop_SharedNameThatAnotherKeeps_StaysUntilTheLastOneDropsIt()
    {
        var store = Store(capacity: 2);
        using var group = Memfd.Create("group", 1);
        store.Found("board");

        Assert.True(store.Keep(Shared, [group]));
        Assert.True(store.Keep(Shared, [group]));
        Receive(2);
        Assert.Equal((2, 2), (store.Count, store.Limit));
        store.Drop(Shared);

        Assert.Null(_manager.TryReceive());
        Assert.Equal(2, store.Count);
        store.Drop(Shared);
        Assert.Equal(($"FDSTOREREMOVE=1\nFDNAME={Shared}", ""), _manager.TryReceive());
        Assert.Equal(1, store.Count);
    }

    [Fact]
    public void Join_FoundName_IsDroppedByTheLastOfThoseThatJoined()
    {
        var store = Store(capacity: 8);
        store.Found(Shared);
        store.Join(Shared);
        store.Join(Shared);

        store.Drop(Shared);
        Assert.Null(_manager.TryReceive());
        store.Drop(Shared);

        Assert.Equal($"FDSTOREREMOVE=1\nFDNAME={Shared}", _manager.TryReceive()?.State);
        Assert.Equal(0, store.Count);
    }

    [Fact]
    public void Drop_SharedNameThatNobodyJoined_TheManagerIsTold()
    {
        var store = Store(capacity: 8);
        store.Found(Shared);

        store.Drop(Shared);

        Assert.Equal($"FDSTOREREMOVE=1\nFDNAME={Shared}", _manager.TryReceive()?.State);
        Assert.Equal(0, store.Count);
    }

    [Fact]
    public void Keep_SharedNameAndNoRoom_TheFirstIsRefusedAndNobodyUsesIt()
    {
        var store = Store(capacity: 1);
        using var group = Memfd.Create("group", 1);
        store.Found("board");

        Assert.False(store.Keep(Shared, [group]));

        Assert.Null(_manager.TryReceive());
        store.Drop("board");
        Receive(1);
        Assert.True(store.Keep(Shared, [group]));
        store.Drop(Shared);
        Assert.Equal(0, store.Count);
    }

    [Fact]
    public void Keep_SharedNameAndNobodyListens_IsNotCounted()
    {
        Logs.Expect(NotStored);
        Logs.Expect(NotForgotten);
        var store = Store(capacity: 8);
        using var group = Memfd.Create("group", 1);
        _manager.Close();

        Assert.False(store.Keep(Shared, [group]));

        Assert.True(Logs.Contains(NotStored));
    }

    /// <summary>Two devices of a group are opened and closed all the time; whenever one of them is open, the manager has what they share.</summary>
    [Fact]
    public async Task KeepAndDrop_SharedNameFromManyThreads_TheManagerHasItWheneverSomebodyKeepsIt()
    {
        var manager = Own(new KeepingManager());
        var store = new DescriptorStore(manager.Notifier, 64, Own(new RestartMetrics()), Logs.CreateLogger<DescriptorStore>());
        using var group = Memfd.Create("group", 1);
        store.Keep("L1", [Own(Memfd.Create("other", 1))]);

        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Factory.StartNew(() => OpenAndClose(store, manager, group), Cancellation, TaskCreationOptions.LongRunning, TaskScheduler.Default)));

        Assert.Equal(["L1"], manager.Stored());
        Assert.Equal(1, store.Count);
    }

    private static void OpenAndClose(DescriptorStore store, KeepingManager manager, FileDescriptor group)
    {
        for (int i = 0; i < 100; i++)
        {
            Assert.True(store.Keep(Shared, [group]));
            if (i % 2 == 0)
            {
                Assert.Equal(["G/12/group", "L1"], manager.Stored());
            }

            store.Drop(Shared);
        }
    }

    private static void KeepAndDrop(DescriptorStore store, string name, FileDescriptor file)
    {
        for (int i = 0; i < 200; i++)
        {
            store.Keep(name, [file, file]);
            if (i % 4 != 3)
            {
                store.Drop(name);
            }
        }
    }

    private DescriptorStore Store(int capacity, RestartMetrics? metrics = null) =>
        new(new ServiceNotifier(_manager.Path), capacity, metrics ?? Own(new RestartMetrics()), Logs.CreateLogger<DescriptorStore>());

    private void Receive(int count)
    {
        for (int i = 0; i < count; i++)
        {
            Assert.NotNull(_manager.TryReceive());
        }
    }
}
