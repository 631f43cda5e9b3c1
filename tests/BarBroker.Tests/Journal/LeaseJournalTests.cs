// SPDX-License-Identifier: Apache-2.0

using BarBroker.Journal;
using BarBroker.Leases;
using BarBroker.Tests.Leases;

namespace BarBroker.Tests.Journal;

public sealed class LeaseJournalTests : JournalTestBase
{
    [Fact]
    public async Task LeaseChanged_LifeOfALease_IsTold()
    {
        var journal = Start();
        var lease = Acquire();
        Leases.Manager.Recall(lease.Id, TimeSpan.FromSeconds(10), EndReason.Operator, "soon");
        Leases.Manager.AcknowledgeRecall(lease.Id, lease.Owner.Uid);
        End(lease);

        var entries = await ReadAsync(journal);

        Assert.Equal(
            [(V1.HistoryKind.Granted, V1.EndReason.Unspecified, "0:0x0+0x1000"), (V1.HistoryKind.Recalled, V1.EndReason.Operator, "soon"), (V1.HistoryKind.Acknowledged, V1.EndReason.Operator, "soon"), (V1.HistoryKind.Ended, V1.EndReason.Operator, "in the way")],
            entries.Select(entry => (entry.Kind, entry.Reason, entry.Detail)));
        Assert.All(entries, entry => Assert.Equal((lease.Id, lease.Epoch, "dev0", 1000u, 100), (entry.LeaseId, entry.Epoch, entry.Device, entry.Owner.Uid, entry.Owner.Pid)));
        Assert.Equal(entries.Select(entry => entry.Sequence).Order(), entries.Select(entry => entry.Sequence));
        Assert.All(entries, entry => Assert.Equal(36, entry.BootId.Length));
    }

    [Fact]
    public async Task LeaseChanged_LivingLease_RecordHasWhatARestartNeeds()
    {
        var journal = Start();
        var request = LeaseFixture.Sized(2 * LeaseFixture.Page) with { RequestId = "once", Labels = System.Collections.Immutable.ImmutableDictionary<string, string>.Empty.Add("team", "storage") };
        var lease = Leases.Active(request);
        await ReadAsync(journal);
        journal.Dispose();

        string row = Assert.Single(Select(Database, "SELECT id, device, generation, buffers, uid, pid, labels, request_id, ttl, granted, ttl_deadline, life_deadline, fetched, state, ended FROM leases"));

        long ttl = 30_000_000_000;
        Assert.Equal(
            $"{lease.Id}|dev0|1|0:0x0+0x2000|1000|100|{{\"team\":\"storage\"}}|once|{ttl}|{lease.Marks.GrantedAt}|{lease.Marks.TtlDeadline}||1|2|", row);
    }

    [Fact]
    public async Task LeaseChanged_FileModes_OnlyTheOwners()
    {
        var journal = Start();
        Acquire();
        await ReadAsync(journal);

        Assert.All(
            System.IO.Directory.GetFiles(State).Concat(System.IO.Directory.GetFiles(Run)),
            file => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file)));
    }

    [Fact]
    public async Task Acquire_Answered_RecordSurvivesTheBroker()
    {
        // A database that cannot be opened stands for one that had no time: nothing gets into it.
        Logs.Expect(Failing);
        System.IO.Directory.CreateDirectory(Database);
        Start();
        var lease = Acquire();

        // What a killed broker leaves is what is in the runtime directory at this moment.
        string left = Directory.File("left");
        System.IO.Directory.CreateDirectory(left);
        foreach (string file in System.IO.Directory.GetFiles(Run))
        {
            File.Copy(file, Path.Combine(left, Path.GetFileName(file)));
        }

        System.IO.Directory.Move(Database, Database + ".directory");
        var next = Start(runtime: left);
        var entries = await ReadAsync(next);

        Assert.Contains(entries, entry => Tells(entry, V1.HistoryKind.Granted, lease.Id));
        var end = Assert.Single(entries, entry => Tells(entry, V1.HistoryKind.Ended, lease.Id));
        Assert.Equal(V1.EndReason.BrokerRestart, end.Reason);
        Assert.DoesNotContain(System.IO.Directory.GetFiles(left), file => entries.Count == 0 && file.Length > 0);
    }

    [Fact]
    public async Task Start_AfterAKilledRun_NothingIsWrittenTwice()
    {
        var journal = Start();
        var lease = Acquire();
        End(lease);
        await ReadAsync(journal);
        string left = Directory.File("left");
        System.IO.Directory.CreateDirectory(left);
        foreach (string file in System.IO.Directory.GetFiles(Run))
        {
            File.Copy(file, Path.Combine(left, Path.GetFileName(file)));
        }

        Assert.NotEmpty(System.IO.Directory.GetFiles(left));
        journal.Dispose();

        var entries = await ReadAsync(Start(runtime: left));

        Assert.Equal([V1.HistoryKind.Granted, V1.HistoryKind.Ended], entries.Select(entry => entry.Kind));
    }

    [Fact]
    public async Task Dispose_EverythingWritten_LeavesNothingInTheRuntimeDirectory()
    {
        var journal = Start();
        Acquire();
        await ReadAsync(journal);

        journal.Dispose();

        Assert.Empty(System.IO.Directory.GetFiles(Run));
        Assert.Equal(["journal.db"], System.IO.Directory.GetFiles(State).Select(file => Path.GetFileName(file)));
    }

    [Fact]
    public async Task Refused_ManyTimes_IsCountedNotWritten()
    {
        var journal = Start();
        var owner = LeaseFixture.Owner();
        for (int i = 0; i < 10_000; i++)
        {
            journal.Refused(LeaseFixture.Sized(4096), owner, new LeaseException(LeaseError.Quota, $"attempt {i}"));
        }

        journal.Refused(LeaseFixture.Sized(4096), owner, new LeaseException(LeaseError.NoRoom, "this is no decision of the policy"));
        await WaitForAsync(journal, entries => entries.Sum(entry => (long)entry.Count) == 9_999, "all but the first are counted");

        var refused = (await ReadAsync(journal)).Where(entry => entry.Kind == V1.HistoryKind.Refused).ToList();
        Assert.InRange(refused.Count, 2, 30);
        Assert.Equal((1000u, "acquire", "dev0", "attempt 0"), (refused[0].Owner.Uid, refused[0].Action, refused[0].Device, refused[0].Detail));
    }

    [Fact]
    public async Task Read_EveryFilter_FindsItsEntries()
    {
        var journal = Start();
        var first = Leases.Active(LeaseFixture.Sized(LeaseFixture.Page) with { Labels = System.Collections.Immutable.ImmutableDictionary<string, string>.Empty.Add("team", "net") });
        var second = Leases.Active(LeaseFixture.Sized(LeaseFixture.Page), LeaseFixture.Owner(2000, 200));
        End(first);

        async Task<IEnumerable<(V1.HistoryKind, string)>> Read(V1.HistoryRequest request) => (await ReadAsync(journal, request)).Select(entry => (entry.Kind, entry.LeaseId));

        (V1.HistoryKind, string)[] ofFirst = [(V1.HistoryKind.Granted, first.Id), (V1.HistoryKind.Ended, first.Id)];
        Assert.Equal(ofFirst, await Read(new() { LeaseId = first.Id }));
        Assert.Equal(ofFirst, await Read(new() { Labels = { ["team"] = "net" } }));
        Assert.Empty(await Read(new() { Labels = { ["team"] = "storage" } }));
        Assert.Equal([(V1.HistoryKind.Granted, second.Id)], await Read(new() { Uid = 2000 }));
        Assert.Equal([(V1.HistoryKind.Granted, second.Id)], await Read(new() { Pid = 200, Device = "dev0" }));
        Assert.Equal([(V1.HistoryKind.Ended, first.Id)], await Read(new() { Kinds = { V1.HistoryKind.Ended } }));
        Assert.Equal([(V1.HistoryKind.Granted, second.Id), (V1.HistoryKind.Ended, first.Id)], await Read(new() { Limit = 2 }));
        Assert.Equal([(V1.HistoryKind.Ended, first.Id), (V1.HistoryKind.Granted, second.Id)], await Read(new() { Limit = 2, NewestFirst = true }));
        Assert.Empty(await Read(new() { Device = "' OR 1 --" }));
        Assert.Throws<LeaseException>(() => HistoryQuery.Read(new() { Kinds = { (V1.HistoryKind)99 } }));
    }
}
