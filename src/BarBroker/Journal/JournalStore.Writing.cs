// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using System.Text;
using System.Text.Json;
using BarBroker.Leases;
using BarBroker.Records;
using Google.Protobuf;

namespace BarBroker.Journal;

internal sealed partial class JournalStore
{
    private const long NanosecondsPerTick = 100;

    /// <summary>The number of the run in this database, which may know it already, and the number of its last entry that is written.</summary>
    public (long Id, ulong Written) FindRun(RunIdentity run)
    {
        using var find = new Statement(_connection, "SELECT id, written FROM runs WHERE token = $1", 1);
        using (var found = find.Bind(1, run.Token.ToString()).Read())
        {
            if (found.Read())
            {
                return (found.GetInt64(0), (ulong)found.GetInt64(1));
            }
        }

        using var insert = new Statement(_connection, JournalSchema.InsertRun, 7);
        insert.Bind(1, run.Token.ToString()).Bind(2, run.BootId).Bind(3, run.Pid).Bind(4, run.Version).Bind(5, run.Wall).Bind(6, run.Boot).Bind(7, AgeOffset(run));
        insert.Run();
        return (LastRow, 0);
    }

    /// <summary>Writes the entries of a run, in one commit.</summary>
    public void Write(long run, IReadOnlyCollection<JournalEntry> entries, ulong written) => Commit(() =>
    {
        // A lease that changes several times has one record in the end.
        var leases = new Dictionary<ulong, (JournalEntry Entry, long? Ended)>();
        foreach (var entry in entries)
        {
            long? sequence = entry.Event.Kind == V1.HistoryKind.Unspecified ? null : Insert(run, entry);
            if (entry.Lease is { } lease)
            {
                leases[lease.Epoch] = (entry, entry.Event.Kind == V1.HistoryKind.Ended ? sequence : null);
            }
        }

        foreach (var (entry, ended) in leases.Values)
        {
            Insert(run, entry, entry.Lease!, ended);
        }

        return _markWritten.Bind(1, run).Bind(2, (long)written).Run();
    });

    /// <summary>
    /// Ends what earlier runs have left: nothing that an earlier broker held outlives it, unless this one has taken it over. Returns how many leases that were.
    /// </summary>
    /// <param name="takenOver">The epochs of the leases that this one has.</param>
    public int EndEarlier(long run, RunIdentity identity, long wall, long boot, IReadOnlySet<ulong>? takenOver = null)
    {
        var left = new List<JournalEntry>();
        using (var find = new Statement(_connection, "SELECT leases.message, leases.granted, runs.boot_id, runs.pid FROM leases JOIN runs ON runs.id = leases.run WHERE leases.ended IS NULL AND leases.run <> $1", 1))
        using (var found = find.Bind(1, run).Read())
        {
            while (found.Read())
            {
                var lease = V1.Lease.Parser.ParseFrom(found.GetFieldValue<byte[]>(0));
                if (takenOver?.Contains(lease.Epoch) is true)
                {
                    continue;
                }

                string pid = found.GetInt64(3).ToString(CultureInfo.InvariantCulture);
                lease.State = V1.LeaseState.Ended;
                lease.EndReason = lease.EndReason == V1.EndReason.Unspecified ? V1.EndReason.BrokerRestart : lease.EndReason;
                string how = found.GetString(2) == identity.BootId ? $"the broker that held it, process {pid}, ended without ending it" : "the machine was restarted";
                lease.EndDetail = lease.EndDetail.Length > 0 ? $"{lease.EndDetail}; {how}" : how;
                left.Add(new JournalEntry(LeaseEntries.Event(V1.HistoryKind.Ended, lease), lease, new LeaseMarks { RequestId = "", GrantedAt = found.GetInt64(1) }, wall, boot));
            }
        }

        if (left.Count > 0)
        {
            Commit(() =>
            {
                foreach (var entry in left)
                {
                    End(entry.Lease!, Insert(run, entry));
                }

                return 0;
            });
        }

        return left.Count;
    }

    /// <summary>The records of all leases that have no end, but for those of earlier versions of the broker.</summary>
    /// <exception cref="InvalidDataException">One is not as it was written.</exception>
    public List<EarlierLease> Unended()
    {
        using var find = new Statement(_connection, "SELECT leases.message, leases.record, leases.checksum, runs.boot_id, leases.id FROM leases JOIN runs ON runs.id = leases.run WHERE leases.ended IS NULL AND leases.checksum IS NOT NULL ORDER BY leases.epoch");
        using var found = find.Read();
        var leases = new List<EarlierLease>();
        while (found.Read())
        {
            byte[] message = found.GetFieldValue<byte[]>(0);
            byte[] record = found.IsDBNull(1) ? [] : found.GetFieldValue<byte[]>(1);
            if (found.GetInt64(2) != Checksum(message, record))
            {
                throw new InvalidDataException($"it is damaged: the record of lease {found.GetString(4)} is not what was written");
            }

            leases.Add(new EarlierLease(V1.Lease.Parser.ParseFrom(message), LeaseRecord.Parser.ParseFrom(record).ToMarks(), found.GetString(3)));
        }

        return leases;
    }

    private long LastRow => SQLitePCL.raw.sqlite3_last_insert_rowid(_connection.Handle);

    /// <summary>What to add to the run's time stamps so that ages go on where the last run's have ended.</summary>
    private long AgeOffset(RunIdentity run)
    {
        using var last = new Statement(_connection, "SELECT boot_id, age_offset, boot + age_offset FROM runs ORDER BY id DESC LIMIT 1");
        using var found = last.Read();
        if (!found.Read())
        {
            return -run.Boot;
        }

        if (found.GetString(0) == run.BootId)
        {
            return found.GetInt64(1);
        }

        long newest = Ask("SELECT max(events.boot + runs.age_offset) FROM events JOIN runs ON runs.id = events.run WHERE events.seq = (SELECT max(seq) FROM events)") ?? 0;
        return Math.Max(newest, found.GetInt64(2)) - run.Boot;
    }

    private long Insert(long run, JournalEntry entry)
    {
        var what = entry.Event;
        _insertEvent.Bind(1, run).Bind(2, entry.Wall).Bind(3, entry.Boot).Bind(4, (long)what.Kind)
            .Bind(5, NullIfEmpty(what.LeaseId)).Bind(6, what.Epoch > 0 ? (long)what.Epoch : null).Bind(7, NullIfEmpty(what.Device));
        Bind(_insertEvent, 8, what.Owner);
        Bind(_insertEvent, 12, what.Actor);
        _insertEvent.Bind(16, what.Action).Bind(17, (long)what.Reason).Bind(18, what.Count).Bind(19, what.PolicyRule).Bind(20, what.Detail).Run();
        return LastRow;
    }

    private void Insert(long run, JournalEntry entry, V1.Lease lease, long? ended)
    {
        var marks = entry.Marks;
        byte[] message = lease.ToByteArray();
        byte[] record = marks.ToRecord().ToByteArray();
        _insertLease.Bind(1, (long)lease.Epoch).Bind(2, lease.Id).Bind(3, run).Bind(4, lease.Device).Bind(5, marks.Generation).Bind(6, LeaseEntries.Text(lease.Buffers))
            .Bind(7, (long)lease.Access).Bind(8, (long)lease.MemoryAttribute);
        Bind(_insertLease, 9, lease.Owner);
        _insertLease.Bind(13, Labels(lease)).Bind(14, marks.RequestId ?? "").Bind(15, lease.PolicyRule).Bind(16, lease.Priority)
            .Bind(17, lease.Ttl.ToTimeSpan().Ticks * NanosecondsPerTick).Bind(18, lease.HangLimit?.ToTimeSpan().Ticks * NanosecondsPerTick)
            .Bind(19, marks.RecallGrace.Ticks * NanosecondsPerTick).Bind(20, marks.GrantedAt).Bind(21, marks.TtlDeadline)
            .Bind(22, marks.TicketDeadline == 0 ? null : marks.TicketDeadline).Bind(23, NullIfNever(marks.LifeDeadline)).Bind(24, NullIfNever(marks.RecallDeadline))
            .Bind(25, marks.Fetched ? 1 : 0).Bind(26, (long)lease.State).Bind(27, (long)lease.EndReason).Bind(28, lease.EndDetail).Bind(29, ended)
            .Bind(30, message).Bind(31, record).Bind(32, Checksum(message, record))
            .Run();
    }

    private void End(V1.Lease lease, long sequence)
    {
        using var end = new Statement(_connection, "UPDATE leases SET state = $2, end_reason = $3, end_detail = $4, ended = $5, message = $6 WHERE epoch = $1", 6);
        end.Bind(1, (long)lease.Epoch).Bind(2, (long)lease.State).Bind(3, (long)lease.EndReason).Bind(4, lease.EndDetail).Bind(5, sequence).Bind(6, lease.ToByteArray()).Run();
    }

    private static void Bind(Statement statement, int first, V1.Owner? owner) =>
        statement.Bind(first, owner?.Uid).Bind(first + 1, owner?.Gid).Bind(first + 2, owner?.Pid).Bind(first + 3, owner?.Comm);

    private static long Checksum(byte[] message, byte[] record) => (long)(((ulong)EntryCodec.Checksum(message) << 32) | EntryCodec.Checksum(record));

    private static string? NullIfEmpty(string text) => text.Length > 0 ? text : null;

    private static long? NullIfNever(long deadline) => deadline == Deadline.Never ? null : deadline;

    private static string Labels(V1.Lease lease)
    {
        if (lease.Labels.Count == 0)
        {
            return "{}";
        }

        using var text = new MemoryStream();
        using (var json = new Utf8JsonWriter(text))
        {
            json.WriteStartObject();
            foreach (var (key, value) in lease.Labels)
            {
                json.WriteString(key, value);
            }

            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(text.ToArray());
    }
}
