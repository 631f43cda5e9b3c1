// SPDX-License-Identifier: Apache-2.0

using BarBroker.Journal;
using BarBroker.Leases;
using BarBroker.Linux.Time;
using BarBroker.Wire;

namespace BarBroker.Tests.Journal;

public sealed class AheadLogTests : JournalTestBase
{
    [Fact]
    public void TryAppend_Entries_AreReadAsTheyWere()
    {
        using var log = Log();
        var lease = Acquire();
        var record = lease.ToWire();
        var entry = new JournalEntry(LeaseEntries.Event(V1.HistoryKind.Granted, record), record, lease.Marks with { RequestId = "größer" }, 5, 6) { Number = 7 };

        Assert.True(log.TryAppend(entry));
        Assert.True(log.TryAppend(Note(8)));

        var (_, entries) = Assert.NotNull(AheadSegment.Read(Segments().Single()));
        Assert.Equal(entry, entries[0]);
        Assert.Equal([7ul, 8ul], entries.Select(read => read.Number));
    }

    [Fact]
    public void Read_CutAnywhere_GivesWhatIsWhole()
    {
        using (var log = Log())
        {
            for (ulong i = 1; i <= 5; i++)
            {
                log.TryAppend(Note(i));
            }
        }

        byte[] whole = File.ReadAllBytes(Segments().Single());
        string cut = Directory.File("cut");
        int size = (whole.Length - AheadSegment.HeaderSize) / 5;
        for (int length = 0; length <= whole.Length; length++)
        {
            File.WriteAllBytes(cut, whole[..length]);
            int expected = Math.Max(0, length - AheadSegment.HeaderSize) / size;
            Assert.Equal(expected, AheadSegment.Read(cut)?.Entries.Count ?? 0);
        }
    }

    [Fact]
    public void Read_AnyByteWrong_GivesWhatIsBefore()
    {
        using (var log = Log())
        {
            for (ulong i = 1; i <= 3; i++)
            {
                log.TryAppend(Note(i));
            }
        }

        byte[] whole = File.ReadAllBytes(Segments().Single());
        string changed = Directory.File("changed");
        int size = (whole.Length - AheadSegment.HeaderSize) / 3;
        for (int at = AheadSegment.HeaderSize; at < whole.Length; at++)
        {
            whole[at] ^= 0x55;
            File.WriteAllBytes(changed, whole);
            whole[at] ^= 0x55;
            Assert.Equal((at - AheadSegment.HeaderSize) / size, AheadSegment.Read(changed)!.Value.Entries.Count);
        }
    }

    [Fact]
    public void Written_FullFiles_AreDeletedAndOnlyThose()
    {
        using var log = Log();
        ulong last = 0;
        while (Segments().Length < 4)
        {
            Assert.True(log.TryAppend(Note(++last)));
        }

        log.Written(1);
        Assert.Equal(4, Segments().Length);
        log.Written(last);
        Assert.Single(Segments());
        log.Finish(last);
        Assert.Empty(Segments());
    }

    [Fact]
    public void TryAppend_NothingIsWrittenBehind_StopsAtItsBound()
    {
        using var log = Log();
        ulong last = 0;
        while (log.TryAppend(Note(++last)))
        {
        }

        Assert.InRange(Segments().Sum(file => new FileInfo(file).Length), 15 << 20, 17 << 20);
        Assert.Contains("wait for the database", log.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Check_FileRemoved_BeginsAnother()
    {
        using var log = Log();
        log.TryAppend(Note(1));
        File.Delete(Segments().Single());

        log.Check();
        log.TryAppend(Note(2));

        Assert.Equal(2ul, Assert.NotNull(AheadSegment.Read(Segments().Single())).Entries.Single().Number);
    }

    private static JournalEntry Note(ulong number) =>
        new(new V1.HistoryEvent { Kind = V1.HistoryKind.Journal, Detail = new string('x', 200) }, null, new LeaseMarks { RequestId = "" }, 1, 2) { Number = number };

    private AheadLog Log()
    {
        var time = new BootTimeProvider();
        return new AheadLog(Run, RunIdentity.Now(time), time);
    }

    private string[] Segments() => System.IO.Directory.GetFiles(Run, AheadSegment.Pattern);
}
