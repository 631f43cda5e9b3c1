// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Journal;

internal sealed partial class JournalStore
{
    /// <summary>Of one step, which then takes some milliseconds.</summary>
    private const int EntriesPerStep = 1000;

    private const int PagesPerStep = 512;

    /// <summary>Bytes of the file that are in use.</summary>
    public ulong UsedBytes => (ulong)((Ask("PRAGMA page_count") - Ask("PRAGMA freelist_count")) * Ask("PRAGMA page_size") ?? 0);

    /// <summary>Forgets some of what is too old, or too much: the oldest first. Leases that have not ended stay.</summary>
    /// <param name="run">The present one.</param>
    /// <param name="oldest">The time stamp of the present run before which entries are too old.</param>
    /// <returns>Whether there is more to forget.</returns>
    public bool Forget(long run, long oldest, ulong maxBytes)
    {
        long? past = FindPast(run, oldest, UsedBytes > maxBytes);
        if (past is not null)
        {
            Commit(() =>
            {
                Delete("DELETE FROM events WHERE seq <= $1", past.Value);
                Delete("DELETE FROM leases WHERE ended <= $1", past.Value);
                return Delete("DELETE FROM runs WHERE id < $1 AND NOT EXISTS (SELECT 1 FROM leases WHERE leases.run = runs.id) AND id < coalesce((SELECT run FROM events ORDER BY seq LIMIT 1), $1)", run);
            });
        }

        bool hasFree = Ask("PRAGMA freelist_count") > 0;
        if (hasFree)
        {
            Statement.Run(_connection, $"PRAGMA incremental_vacuum({PagesPerStep})");
        }

        return past is not null || (hasFree && Ask("PRAGMA freelist_count") > 0);
    }

    /// <summary>The last entry of this step; null if none has to go.</summary>
    private long? FindPast(long run, long oldest, bool tooMuch)
    {
        if (tooMuch)
        {
            return Ask($"SELECT max(seq) FROM (SELECT seq FROM events ORDER BY seq LIMIT {EntriesPerStep})");
        }

        using var find = new Statement(_connection, $"""
            SELECT max(seq) FROM (
              SELECT events.seq, events.boot + runs.age_offset AS age FROM events JOIN runs ON runs.id = events.run ORDER BY events.seq LIMIT {EntriesPerStep})
            WHERE age < $1 + (SELECT age_offset FROM runs WHERE id = $2)
            """, 2);
        return find.Bind(1, oldest).Bind(2, run).Number();
    }

    private int Delete(string text, long parameter)
    {
        using var delete = new Statement(_connection, text, 1);
        return delete.Bind(1, parameter).Run();
    }
}
