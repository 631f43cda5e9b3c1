// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Journal;

/// <summary>The database: what is in it, and how it is used.</summary>
internal static class JournalSchema
{
    /// <summary>Of the tables below; a file with another one is set aside.</summary>
    public const long Version = 3;

    /// <summary>
    /// WAL with synchronous=NORMAL: a commit is a write(2), which the end of the process does not undo; the disk is synced only when the log is moved into the file. A power
    /// failure may take the last commits, never the file's consistency. Locked exclusively before the log is opened, SQLite keeps its index in memory of the process
    /// instead of a mapped file: nobody who truncates files can raise SIGBUS in the broker, and another broker finds the file taken. Nothing is mapped (mmap_size), for
    /// the same reason. auto_vacuum has to come before the first page.
    /// </summary>
    public const string Open = """
        PRAGMA auto_vacuum = INCREMENTAL;
        PRAGMA locking_mode = EXCLUSIVE;
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = NORMAL;
        PRAGMA mmap_size = 0;
        PRAGMA cache_size = -512;
        PRAGMA temp_store = MEMORY;
        PRAGMA wal_autocheckpoint = 256;
        PRAGMA journal_size_limit = 1048576;
        PRAGMA trusted_schema = OFF;
        PRAGMA cell_size_check = ON;
        """;

    /// <summary>
    /// Times: wall is milliseconds of Unix time, for people. Everything else is CLOCK_BOOTTIME in nanoseconds, of the boot that the run names, and a run's age_offset added to it
    /// gives a time that only grows over all runs: the machine being off does not count. A lease's message is the wire's barbroker.v1.Lease; ended is the sequence of
    /// its last entry; record is a barbroker.record.v1.LeaseRecord. The checksum is of both: SQLite has none of its own.
    /// </summary>
    public const string Create = """
        CREATE TABLE runs (
          id INTEGER PRIMARY KEY, token TEXT NOT NULL UNIQUE, boot_id TEXT NOT NULL, pid INTEGER NOT NULL, version TEXT NOT NULL,
          wall INTEGER NOT NULL, boot INTEGER NOT NULL, age_offset INTEGER NOT NULL, written INTEGER NOT NULL DEFAULT 0);
        CREATE TABLE leases (
          epoch INTEGER PRIMARY KEY, id TEXT NOT NULL, run INTEGER NOT NULL, device TEXT NOT NULL, generation INTEGER NOT NULL, buffers TEXT NOT NULL,
          access INTEGER NOT NULL, memory_attribute INTEGER NOT NULL, uid INTEGER NOT NULL, gid INTEGER NOT NULL, pid INTEGER NOT NULL, comm TEXT NOT NULL,
          labels TEXT NOT NULL, request_id TEXT NOT NULL, policy_rule TEXT NOT NULL, priority INTEGER NOT NULL, ttl INTEGER NOT NULL, hang_limit INTEGER,
          recall_grace INTEGER NOT NULL, granted INTEGER NOT NULL, ttl_deadline INTEGER NOT NULL, ticket_deadline INTEGER, life_deadline INTEGER,
          recall_deadline INTEGER, fetched INTEGER NOT NULL, state INTEGER NOT NULL, end_reason INTEGER NOT NULL, end_detail TEXT NOT NULL, ended INTEGER,
          message BLOB NOT NULL, record BLOB, checksum INTEGER);
        CREATE INDEX leases_ended ON leases (ended);
        CREATE TABLE events (
          seq INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, wall INTEGER NOT NULL, boot INTEGER NOT NULL, kind INTEGER NOT NULL, lease TEXT, epoch INTEGER,
          device TEXT, uid INTEGER, gid INTEGER, pid INTEGER, comm TEXT, actor_uid INTEGER, actor_gid INTEGER, actor_pid INTEGER, actor_comm TEXT,
          action TEXT NOT NULL, reason INTEGER NOT NULL, count INTEGER NOT NULL, policy_rule TEXT NOT NULL, detail TEXT NOT NULL);
        CREATE INDEX events_lease ON events (lease) WHERE lease IS NOT NULL;
        PRAGMA user_version = 3;
        """;

    /// <summary>From version 1. The leases of versions before this one have nothing that they could be taken up again by, or nothing that proves that it is as it was written.</summary>
    public const string UpgradeFrom1 = """
        ALTER TABLE leases ADD COLUMN record BLOB;
        """;

    /// <summary>From version 2.</summary>
    public const string UpgradeFrom2 = """
        ALTER TABLE leases ADD COLUMN checksum INTEGER;
        PRAGMA user_version = 3;
        """;

    public const string InsertRun = """
        INSERT INTO runs (token, boot_id, pid, version, wall, boot, age_offset) VALUES ($1, $2, $3, $4, $5, $6, $7)
        """;

    public const string InsertEvent = """
        INSERT INTO events (run, wall, boot, kind, lease, epoch, device, uid, gid, pid, comm, actor_uid, actor_gid, actor_pid, actor_comm, action, reason, count, policy_rule, detail)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
        """;

    public const string InsertLease = """
        INSERT OR REPLACE INTO leases (epoch, id, run, device, generation, buffers, access, memory_attribute, uid, gid, pid, comm, labels, request_id, policy_rule, priority, ttl,
          hang_limit, recall_grace, granted, ttl_deadline, ticket_deadline, life_deadline, recall_deadline, fetched, state, end_reason, end_detail, ended, message, record, checksum)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32)
        """;
}
