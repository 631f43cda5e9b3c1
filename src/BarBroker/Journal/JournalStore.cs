// SPDX-License-Identifier: Apache-2.0

using Microsoft.Data.Sqlite;

namespace BarBroker.Journal;

/// <summary>The journal's database, open. Used by one thread at a time. After any exception it is to be disposed of and opened anew.</summary>
internal sealed partial class JournalStore : IDisposable
{
    /// <summary>Larger files are not read as a whole when they are opened; damage shows when it is come upon.</summary>
    private const long LargestChecked = 16 << 20;

    private readonly SqliteConnection _connection;
    private readonly Statement _begin;
    private readonly Statement _commit;
    private readonly Statement _insertEvent;
    private readonly Statement _insertLease;
    private readonly Statement _markWritten;

    private JournalStore(SqliteConnection connection)
    {
        _connection = connection;
        _begin = new Statement(connection, "BEGIN IMMEDIATE");
        _commit = new Statement(connection, "COMMIT");
        _insertEvent = new Statement(connection, JournalSchema.InsertEvent, 20);
        _insertLease = new Statement(connection, JournalSchema.InsertLease, 32);
        _markWritten = new Statement(connection, "UPDATE runs SET written = $2 WHERE id = $1", 2);
    }

    /// <summary>Opens the file, or begins it.</summary>
    /// <exception cref="SqliteException">It cannot be opened, is damaged, or another process has it.</exception>
    /// <exception cref="InvalidDataException">It is no journal, or of another version.</exception>
    /// <exception cref="IOException">It cannot be made.</exception>
    public static JournalStore Open(string path)
    {
        // SQLite would let everybody read it; its log gets the mode of the file.
        using (new FileStream(path, new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.ReadWrite, BufferSize = 0, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite }))
        {
        }

        // The timeout is what is waited for somebody else's lock.
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false, DefaultTimeout = 1 }.ToString());
        try
        {
            connection.Open();
            Statement.Run(connection, JournalSchema.Open);
            Check(connection, path);
            return new JournalStore(connection);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        foreach (var statement in new[] { _begin, _commit, _insertEvent, _insertLease, _markWritten })
        {
            statement.Dispose();
        }

        _connection.Dispose();
    }

    private static void Check(SqliteConnection connection, string path)
    {
        long? version = Ask(connection, "PRAGMA user_version");
        if (version == 0 && Ask(connection, "SELECT count(*) FROM sqlite_master") == 0)
        {
            Statement.Run(connection, $"BEGIN IMMEDIATE; {JournalSchema.Create} COMMIT");
            return;
        }

        if (version is 1 or 2)
        {
            Statement.Run(connection, $"BEGIN IMMEDIATE; {(version == 1 ? JournalSchema.UpgradeFrom1 : "")} {JournalSchema.UpgradeFrom2} COMMIT");
            version = JournalSchema.Version;
        }

        if (version != JournalSchema.Version)
        {
            throw new InvalidDataException($"it is no journal of this broker: its version is {version}, not {JournalSchema.Version}");
        }

        if (new FileInfo(path).Length > LargestChecked)
        {
            return;
        }

        using var check = new Statement(connection, "PRAGMA quick_check(1)");
        using var found = check.Read();
        if (!found.Read() || found.GetString(0) is not "ok")
        {
            throw new InvalidDataException("it is damaged");
        }
    }

    private static long? Ask(SqliteConnection connection, string question)
    {
        using var statement = new Statement(connection, question);
        return statement.Number();
    }

    private long? Ask(string question) => Ask(_connection, question);

    /// <summary>All or nothing.</summary>
    private T Commit<T>(Func<T> work)
    {
        _begin.Run();
        T result = work();
        _commit.Run();
        return result;
    }
}
