// SPDX-License-Identifier: Apache-2.0

using Google.Protobuf;
using Microsoft.Data.Sqlite;

namespace BarBroker.Journal;

/// <summary>What an exception says about the database.</summary>
internal static class JournalFaults
{
    // Result codes of SQLite (sqlite3.h).
    private const int Error = 1;
    private const int ReadOnly = 8;
    private const int InputOutput = 10;
    private const int Corrupt = 11;
    private const int Full = 13;
    private const int CannotOpen = 14;
    private const int NotADatabase = 26;

    /// <summary>It will not get better by trying again: the file is no good.</summary>
    /// <param name="again">It was tried again already.</param>
    public static bool IsDamage(Exception exception, bool again) => exception switch
    {
        // Error is a table or column that is not there.
        SqliteException sqlite => sqlite.SqliteErrorCode is Error or Corrupt or NotADatabase || (again && sqlite.SqliteErrorCode == InputOutput),
        InvalidDataException or InvalidProtocolBufferException => true,
        _ => false,
    };

    /// <summary>The file may be good, and cannot be written.</summary>
    public static bool IsOfTheDisk(Exception exception) =>
        exception is IOException or UnauthorizedAccessException or SqliteException { SqliteErrorCode: ReadOnly or InputOutput or Full or CannotOpen };

    /// <summary>Met while answering: the question may be at fault, too, and no question may cost the journal.</summary>
    public static bool IsOfTheFile(Exception exception) => exception is SqliteException { SqliteErrorCode: InputOutput or Corrupt or NotADatabase };

    /// <summary>What a person should read.</summary>
    public static string Text(Exception exception) => exception is SqliteException sqlite
        ? sqlite.SqliteErrorCode switch
        {
            5 or 6 => "another process has it open",
            ReadOnly => "it is read-only",
            Full => "the disk is full",
            CannotOpen => "it cannot be opened",
            InputOutput => $"the disk fails ({sqlite.SqliteExtendedErrorCode})",
            Corrupt or NotADatabase => "it is damaged",
            _ => sqlite.Message,
        }
        : exception.Message;
}
