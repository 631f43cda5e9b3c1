// SPDX-License-Identifier: Apache-2.0

using BarBroker.Configuration;
using BarBroker.Journal;
using BarBroker.Leases;
using BarBroker.Linux;
using BarBroker.Testing;
using Microsoft.Extensions.Time.Testing;

namespace BarBroker.Tests.Journal;

/// <summary>Whatever becomes of the journal's files: leases go on, it is told, and entries are written again as soon as that is possible.</summary>
public sealed class JournalDamageTests : JournalTestBase
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    public async Task Start_DamagedAtARandomPlace_IsUsedOrSetAside(int seed)
    {
        Logs.Expect(Failing);
        await FillAsync();
        Damage(Database, new Random(seed), truncate: seed % 2 == 0);

        var journal = Start();
        var lease = Acquire();

        await WaitForAsync(journal, entries => entries.Any(entry => Tells(entry, V1.HistoryKind.Granted, lease.Id)), "the new grant in a journal");
        Assert.Equal("", journal.Status().Problem);
    }

    [Fact]
    public async Task Status_DiskDoesNotAnswer_IsToldAndQuestionsAreRefused()
    {
        Logs.Expect(Overdue);
        var time = new FakeTimeProvider();
        var journal = Start(time: time);
        using var disk = new ManualResetEventSlim();
        var held = new TaskCompletionSource();
        var waits = journal.AskAsync(_ =>
        {
            held.SetResult();
            disk.Wait();
            return true;
        });
        await Wait.For(held.Task, "the journal's thread in a call");
        var lease = Acquire();
        var later = journal.AskAsync(static _ => true);

        time.Advance(TimeSpan.FromSeconds(20));

        Assert.Equal(LeaseError.Unavailable, (await Assert.ThrowsAsync<LeaseException>(() => Wait.For(later, "the refusal"))).Error);
        Assert.Equal("its disk has not answered for 10 s or more", journal.Status().Problem);
        Assert.InRange(journal.Status().Errors, 1ul, 2ul);
        Assert.InRange(journal.Status().Waiting, 1ul, ulong.MaxValue);

        disk.Set();
        Assert.True(await Wait.For(waits, "the answer"));
        await WaitForAsync(journal, entries => entries.Any(entry => Tells(entry, V1.HistoryKind.Granted, lease.Id)), "the grant in the journal");
        await Wait.Until(() => journal.Status().Problem.Length == 0, "the journal without a problem");
    }

    [Theory]
    [InlineData(11)]
    [InlineData(12)]
    [InlineData(13)]
    [InlineData(14)]
    [InlineData(15)]
    [InlineData(16)]
    public async Task Write_DamagedMeanwhile_GoesOn(int seed)
    {
        Logs.Expect(Failing);
        var random = new Random(seed);
        var journal = Start();
        var lease = Acquire();
        End(Acquire());
        await ReadAsync(journal);

        Damage(random.Next(2) == 0 ? Database : $"{Database}-wal", random, truncate: seed % 2 == 0);
        End(Acquire());
        await Wait.Until(
            async () =>
            {
                var next = Acquire();
                End(next);
                try
                {
                    return (await ReadAsync(journal, new() { LeaseId = next.Id })).Count == 2;
                }
                catch (LeaseException)
                {
                    return false;
                }
            },
            "a life of a lease in the journal");

        Assert.Equal(LeaseState.Active, Leases.Get(lease.Id).State);
    }

    [Fact]
    public async Task Start_RandomBytes_IsSetAsideAndANewOneBegins()
    {
        byte[] bytes = new byte[10_000];
        new Random(7).NextBytes(bytes);
        for (int i = 1; i <= 5; i++)
        {
            bytes[0] = (byte)i;
            File.WriteAllBytes(Database, bytes);
            var journal = Start();
            var lease = Acquire();
            await WaitForAsync(journal, entries => entries.Any(entry => Tells(entry, V1.HistoryKind.Granted, lease.Id)), "the grant in the new journal");
            Assert.Contains(await ReadAsync(journal), entry => entry.Kind == V1.HistoryKind.Journal && entry.Action == "set aside" && entry.Detail.Contains($"corrupt-{i}", StringComparison.Ordinal));
            journal.Dispose();
        }

        // The newest three, as they were.
        Assert.Equal(["3", "4", "5"], System.IO.Directory.GetFiles(State, "*.corrupt-*").Select(file => file[(file.LastIndexOf('-') + 1)..]).Order());
        Assert.Equal(bytes, File.ReadAllBytes($"{Database}.corrupt-5"));
        Assert.True(Logs.Contains(502));
    }

    [Fact]
    public async Task Start_OfAnotherVersion_IsSetAside()
    {
        await FillAsync();
        Select(Database, "PRAGMA user_version = 99");

        var journal = Start();

        Assert.DoesNotContain(await ReadAsync(journal), entry => entry.Kind == V1.HistoryKind.Granted);
        Assert.True(File.Exists($"{Database}.corrupt-1"));
    }

    [Fact]
    public async Task Write_FileDeletedMeanwhile_LivingLeasesAreInTheNewOne()
    {
        var journal = Start();
        var lease = Acquire();
        await ReadAsync(journal);
        File.Delete(Database);

        var next = Acquire();
        await WaitForAsync(journal, entries => entries.Any(entry => Tells(entry, V1.HistoryKind.Granted, next.Id)), "the new grant in the new file");

        Assert.DoesNotContain(await ReadAsync(journal), entry => entry.LeaseId == lease.Id);
        Assert.Contains(await ReadAsync(journal), entry => entry.Kind == V1.HistoryKind.Journal && entry.Action == "removed");
        journal.Dispose();
        Assert.Equal([lease.Id, next.Id], Select(Database, "SELECT id FROM leases WHERE ended IS NULL ORDER BY epoch"));
    }

    [Fact]
    public async Task Write_SomethingElseInItsPlace_LeasesGoOnAndItIsTriedAgain()
    {
        Logs.Expect(Failing);
        System.IO.Directory.CreateDirectory(Database);
        var journal = Start();

        var lease = Acquire();
        await Wait.Until(() => journal.Status().Problem.Length > 0, "the problem is told");
        await Assert.ThrowsAsync<LeaseException>(() => ReadAsync(journal));
        Assert.True(journal.Status().Waiting > 0);
        Assert.True(journal.Status().Errors > 0);
        System.IO.Directory.Delete(Database);

        await WaitForAsync(journal, entries => entries.Any(entry => Tells(entry, V1.HistoryKind.Granted, lease.Id)), "the grant is written late");
        Assert.Equal(("", 0ul, 0ul), (journal.Status().Problem, journal.Status().Lost, journal.Status().Waiting));
        Assert.True(Logs.Contains(501));
    }

    [Fact]
    public async Task Write_DiskFull_WritesWhenThereIsRoomAgain()
    {
        Assert.SkipUnless(Users.EffectiveUid == 0, "a disk of its own to fill takes root");
        var (status, output) = NativeProgram.Run("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", State);
        Assert.SkipUnless(status == 0, $"no tmpfs can be mounted here: {output}");
        try
        {
            Logs.Expect(Failing);
            var journal = Start();
            await ReadAsync(journal);
            File.WriteAllBytes(Path.Combine(State, "filler"), []);
            Fill(Path.Combine(State, "filler"));
            var leases = Enumerable.Range(0, 500).Select(_ => End(Acquire())).ToList();
            await Wait.Until(() => journal.Status().Problem.Length > 0, "the full disk is told");

            File.Delete(Path.Combine(State, "filler"));

            await WaitForAsync(journal, entries => entries.Any(entry => Tells(entry, V1.HistoryKind.Ended, leases[^1].Id)), "what waited is written");
            Assert.Equal(0ul, journal.Status().Lost);
            journal.Dispose();
        }
        finally
        {
            NativeProgram.Run("umount", "-l", State);
        }
    }

    [Fact]
    public async Task Earlier_ARecordIsNotWhatWasWritten_NothingOfTheFileIsBelieved()
    {
        await FillAsync();
        var writer = Start();
        var lease = Acquire();
        await ReadAsync(writer);
        writer.Dispose();

        // One that is well-formed all the same: SQLite finds nothing wrong with it.
        Select(Database, "UPDATE leases SET message = CAST(substr(message, 1, length(message) - 1) || x'05' AS BLOB) WHERE ended IS NULL");
        Assert.Equal(["ok"], Select(Database, "PRAGMA quick_check(1)"));

        var journal = Start();
        var earlier = await Wait.For(journal.Earlier, "what is known of earlier leases");

        Assert.Empty(earlier.Leases);
        Assert.Contains($"the record of lease {lease.Id} is not what was written", earlier.Problem, StringComparison.Ordinal);
        await Wait.Until(() => File.Exists($"{Database}.corrupt-1"), "the file is set aside");
    }

    [Fact]
    public async Task Earlier_DiskIsReadOnly_TheRecordsAreReadAllTheSame()
    {
        Assert.SkipUnless(Users.EffectiveUid == 0, "a disk of its own takes root");
        var (status, output) = NativeProgram.Run("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", State);
        Assert.SkipUnless(status == 0, $"no tmpfs can be mounted here: {output}");
        try
        {
            Logs.Expect(Failing);
            var writer = Start();
            var lease = Acquire();
            await ReadAsync(writer);
            writer.Dispose();
            Assert.Equal(0, NativeProgram.Run("mount", "-o", "remount,ro", State).Status);

            var journal = Start();
            var earlier = await Wait.For(journal.Earlier, "what is known of earlier leases");

            Assert.Equal([lease.Id], earlier.Leases.Select(static record => record.Lease.Id));
            Assert.True(Logs.Contains(507));
            Assert.Empty(System.IO.Directory.GetFiles(Run, "journal.copy*"));
            await Wait.Until(() => journal.Status().Problem.Length > 0, "the problem is told");
            var next = Acquire();

            Assert.Equal(0, NativeProgram.Run("mount", "-o", "remount,rw", State).Status);
            await WaitForAsync(journal, entries => entries.Any(entry => Tells(entry, V1.HistoryKind.Granted, next.Id)), "what waited is written");
            journal.Dispose();
        }
        finally
        {
            NativeProgram.Run("umount", "-l", State);
        }
    }

    [Fact]
    public async Task Earlier_NeitherDirectoryCanBeUsed_NothingIsKnownAndTheJournalIsTriedAgain()
    {
        Logs.Expect(Failing);
        Logs.Expect(Unprotected);
        System.IO.Directory.CreateDirectory(Database);
        var journal = Start(runtime: Directory.File("nowhere"));

        Assert.Empty((await Wait.For(journal.Earlier, "what is known of earlier leases")).Leases);
        System.IO.Directory.Delete(Database);
        var lease = Acquire();

        await WaitForAsync(journal, entries => entries.Any(entry => Tells(entry, V1.HistoryKind.Granted, lease.Id)), "the grant is written");
    }

    [Fact]
    public async Task Earlier_OfAnEarlierVersion_HistoryStaysAndNoRecordIsBelieved()
    {
        var writer = Start();
        var lease = Acquire();
        await ReadAsync(writer);
        writer.Dispose();
        Select(Database, "ALTER TABLE leases DROP COLUMN checksum");
        Select(Database, "PRAGMA user_version = 2");

        var journal = Start();

        Assert.Empty((await Wait.For(journal.Earlier, "what is known of earlier leases")).Leases);
        Assert.Contains(await ReadAsync(journal), entry => Tells(entry, V1.HistoryKind.Granted, lease.Id));
    }

    [Fact]
    public void Merge_TwoRecordsOfALease_TheLaterOneCounts()
    {
        var run = new RunIdentity(Guid.NewGuid(), "boot", 1, "", 0, 0);
        V1.Lease Record(string detail) => new() { Epoch = 7, EndDetail = detail };
        JournalEntry Entry(string detail, long at) => new(new V1.HistoryEvent(), Record(detail), new LeaseMarks { NotedAt = at }, 0, 0);

        var merged = EarlierLeases.Merge(run, [new EarlierLease(Record("second"), new LeaseMarks { NotedAt = 2 }, "boot")], [(run, [Entry("third", 3)]), (run, [Entry("first", 1)])], "");

        Assert.Equal("third", Assert.Single(merged.Leases).Lease.EndDetail);
    }

    [Fact]
    public async Task Start_AnotherBrokerHasIt_WaitsForItsTurn()
    {
        Logs.Expect(Failing);
        var holder = Start();
        await ReadAsync(holder);
        string otherRun = Directory.File("other");
        System.IO.Directory.CreateDirectory(otherRun);

        var second = Start(runtime: otherRun);
        await Wait.Until(() => second.Status().Problem.Contains("another process", StringComparison.Ordinal), "the second one says who is in the way");
        var lease = Acquire();
        Assert.Contains(await ReadAsync(holder), entry => Tells(entry, V1.HistoryKind.Granted, lease.Id));
        Assert.Empty(System.IO.Directory.GetFiles(State, "*.corrupt-*"));
        holder.Dispose();

        await WaitForAsync(second, entries => entries.Count(entry => Tells(entry, V1.HistoryKind.Granted, lease.Id)) == 2, "the second one writes what has waited");
    }

    [Fact]
    public async Task Write_RuntimeDirectoryGone_IsToldAndWrittenAllTheSame()
    {
        Logs.Expect(Unprotected);
        var journal = Start(runtime: Directory.File("nowhere"));

        var lease = Acquire();

        Assert.Contains(await ReadAsync(journal), entry => Tells(entry, V1.HistoryKind.Granted, lease.Id));
        Assert.True(journal.Status().Unprotected > 0);
    }

    [Fact]
    public async Task Start_LeftoversThatAreNone_AreRemovedOrReadAsFarAsTheyGo()
    {
        Logs.Expect(Failing);
        System.IO.Directory.CreateDirectory(Database);
        Start();
        var lease = Acquire();
        string left = Directory.File("left");
        System.IO.Directory.CreateDirectory(left);
        byte[] segment = File.ReadAllBytes(System.IO.Directory.GetFiles(Run).Single());
        File.WriteAllBytes(Path.Combine(left, "journal.ahead-1-000000"), segment[..^20]);
        File.WriteAllBytes(Path.Combine(left, "journal.ahead-2-000000"), new byte[5000]);
        File.WriteAllBytes(Path.Combine(left, "journal.ahead-3-000000"), []);
        System.IO.Directory.Move(Database, Database + ".directory");

        var journal = Start(runtime: left);

        Assert.Contains(await ReadAsync(journal), entry => Tells(entry, V1.HistoryKind.Granted, lease.Id));
        Assert.DoesNotContain(System.IO.Directory.GetFiles(left), file => file.EndsWith("-000000", StringComparison.Ordinal) && !file.Contains("ahead-", StringComparison.Ordinal));
        Assert.False(File.Exists(Path.Combine(left, "journal.ahead-2-000000")));
    }

    [Fact]
    public async Task AskAsync_QuestionIsAtFault_CostsNothing()
    {
        var journal = Start();
        var lease = Acquire();
        await ReadAsync(journal);

        await Assert.ThrowsAsync<LeaseException>(() => Wait.For(journal.AskAsync<int>(_ => throw new Microsoft.Data.Sqlite.SqliteException("no such thing", 1)), "the refusal"));

        Assert.Contains(await ReadAsync(journal), entry => Tells(entry, V1.HistoryKind.Granted, lease.Id));
        Assert.Equal(0ul, journal.Status().Errors);
        Assert.Throws<LeaseException>(() => HistoryQuery.Read(new V1.HistoryRequest { Labels = { Enumerable.Range(0, 17).ToDictionary(i => $"l{i}", _ => "") } }));
    }

    private static void Fill(string file)
    {
        using var stream = new FileStream(file, FileMode.Append, FileAccess.Write, FileShare.None, bufferSize: 0);
        byte[] page = new byte[4096];
        try
        {
            while (true)
            {
                stream.Write(page);
            }
        }
        catch (IOException)
        {
            // Full.
        }
    }

    private static void Damage(string file, Random random, bool truncate)
    {
        using var stream = new FileStream(file, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        if (truncate)
        {
            stream.SetLength(random.NextInt64(stream.Length));
            return;
        }

        byte[] bytes = new byte[64];
        for (int i = 0; i < 50; i++)
        {
            random.NextBytes(bytes);
            stream.Position = random.NextInt64(Math.Max(1, stream.Length - bytes.Length));
            stream.Write(bytes);
        }
    }

    /// <summary>Some entries, and the file closed.</summary>
    private async Task FillAsync()
    {
        var journal = Start(new JournalOptions());
        for (int i = 0; i < 200; i++)
        {
            End(Acquire());
        }

        await ReadAsync(journal);
        journal.Dispose();
    }
}
