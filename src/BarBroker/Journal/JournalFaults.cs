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

    // Of InputOutput, those that say that what is in the file cannot be read; with all others the disk is in trouble, full for one, and the file may be good.
    private const int Read = 266;
    private const int ShortRead = 522;
    private const int BadData = 8202;
    private const int BadFileSystem = 8458;

    // Also of InputOutput: the file that processes share beside the database cannot grow.
    private const int SharedMemorySize = 4874;

    /// <summary>It will not get better by trying again: the file is no good.</summary>
    /// <param name="again">It was tried again already.</param>
    public static bool IsDamage(Exception exception, bool again) => exception switch
    {
        // Error is a table or column that is not there.
        SqliteException sqlite => sqlite.SqliteErrorCode is Error or Corrupt or NotADatabase || (again && sqlite.SqliteExtendedErrorCode is Read or ShortRead or BadData or BadFileSystem),
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
            InputOutput when sqlite.SqliteExtendedErrorCode == SharedMemorySize => $"the disk is full, or fails ({SharedMemorySize})",
            CannotOpen => "it cannot be opened",
            InputOutput => $"the disk fails ({sqlite.SqliteExtendedErrorCode})",
            Corrupt or NotADatabase => "it is damaged",
            _ => sqlite.Message,
        }
        : exception.Message;
}
