// SPDX-License-Identifier: Apache-2.0

using Google.Protobuf.WellKnownTypes;
using Microsoft.Data.Sqlite;

namespace BarBroker.Journal;

internal sealed partial class JournalStore
{
    private const string Columns = """
        events.seq, events.wall, events.boot, runs.boot_id, events.kind, events.lease, events.epoch, events.device, events.uid, events.gid, events.pid, events.comm,
        events.actor_uid, events.actor_gid, events.actor_pid, events.actor_comm, events.action, events.reason, events.count, events.policy_rule, events.detail
        """;

    /// <summary>The bounds between which the pages of the query are, both included; null if there is nothing.</summary>
    public (long First, long Last)? Bounds(HistoryQuery query)
    {
        using var last = Prepare(query, $"SELECT max(seq) FROM events WHERE {query.Condition}", 0);
        if (last.Number() is not { } newest)
        {
            return null;
        }

        if (query.Limit == 0)
        {
            return (0, newest);
        }

        using var first = Prepare(query, $"SELECT min(seq) FROM (SELECT seq FROM events WHERE {query.Condition} ORDER BY seq DESC LIMIT {query.Limit})", 0);
        return (first.Number() ?? 0, newest);
    }

    /// <summary>Up to so many entries between the bounds, both included, in the order that the query wants.</summary>
    public List<V1.HistoryEvent> Page(HistoryQuery query, long first, long last, int count)
    {
        int parameter = query.Values.Count;
        string order = query.NewestFirst ? "ORDER BY events.seq DESC" : "ORDER BY events.seq";
        using var select = Prepare(query, $"""
            SELECT {Columns} FROM (
              SELECT * FROM events WHERE events.seq BETWEEN ${parameter + 1} AND ${parameter + 2} AND {query.Condition} {order} LIMIT {count}) AS events
            JOIN runs ON runs.id = events.run {order}
            """, 2);
        var page = new List<V1.HistoryEvent>();
        using var row = select.Bind(parameter + 1, first).Bind(parameter + 2, last).Read();
        while (row.Read())
        {
            page.Add(ToEvent(row));
        }

        return page;
    }

    private static V1.HistoryEvent ToEvent(SqliteDataReader row) => new()
    {
        Sequence = (ulong)row.GetInt64(0),
        Time = Timestamp.FromDateTimeOffset(DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(1))),
        SinceBoot = Duration.FromTimeSpan(TimeSpan.FromTicks(row.GetInt64(2) / NanosecondsPerTick)),
        BootId = row.GetString(3),
        Kind = (V1.HistoryKind)row.GetInt32(4),
        LeaseId = Text(row, 5),
        Epoch = row.IsDBNull(6) ? 0 : (ulong)row.GetInt64(6),
        Device = Text(row, 7),
        Owner = Owner(row, 8),
        Actor = Owner(row, 12),
        Action = row.GetString(16),
        Reason = (V1.EndReason)row.GetInt32(17),
        Count = (uint)row.GetInt64(18),
        PolicyRule = row.GetString(19),
        Detail = row.GetString(20),
    };

    private static V1.Owner? Owner(SqliteDataReader row, int first) => row.IsDBNull(first)
        ? null
        : new V1.Owner { Uid = (uint)row.GetInt64(first), Gid = (uint)row.GetInt64(first + 1), Pid = row.GetInt32(first + 2), Comm = Text(row, first + 3) };

    private static string Text(SqliteDataReader row, int column) => row.IsDBNull(column) ? "" : row.GetString(column);

    private Statement Prepare(HistoryQuery query, string text, int more)
    {
        var statement = new Statement(_connection, text, query.Values.Count + more);
        for (int i = 0; i < query.Values.Count; i++)
        {
            _ = query.Values[i] is long number ? statement.Bind(i + 1, number) : statement.Bind(i + 1, (string)query.Values[i]);
        }

        return statement;
    }
}
