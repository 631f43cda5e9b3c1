// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Journal;

internal static partial class JournalLog
{
    [LoggerMessage(EventId = 500, Level = LogLevel.Error, Message = "The journal {Path} cannot be used: {Error}. Leases go on without it; entries wait in memory, and it is tried again")]
    public static partial void Failing(ILogger log, string path, string error);

    [LoggerMessage(EventId = 501, Level = LogLevel.Information, Message = "The journal {Path} is written again; {Lost} entries are lost since the start")]
    public static partial void Recovered(ILogger log, string path, long lost);

    [LoggerMessage(EventId = 502, Level = LogLevel.Warning, Message = "The journal {Path} is set aside as {Aside}: {Error}. A new one begins")]
    public static partial void SetAside(ILogger log, string path, string aside, string error);

    [LoggerMessage(EventId = 503, Level = LogLevel.Warning, Message = "The journal {Path} was removed or replaced; what is there now is used")]
    public static partial void Removed(ILogger log, string path);

    [LoggerMessage(EventId = 504, Level = LogLevel.Error, Message = "Entries of the journal cannot be kept in {Directory} until they are written: {Error}. A crash of the broker would lose them")]
    public static partial void Unprotected(ILogger log, string directory, string error);

    [LoggerMessage(EventId = 505, Level = LogLevel.Warning, Message = "{Count} leases of an earlier run had no end in the journal, and have one now")]
    public static partial void EndedEarlier(ILogger log, int count);

    [LoggerMessage(EventId = 506, Level = LogLevel.Warning, Message = "{Path}, which an earlier run left with entries for the journal, cannot be read: {Error}")]
    public static partial void Unreadable(ILogger log, string path, string error);

    [LoggerMessage(EventId = 507, Level = LogLevel.Warning, Message = "The journal {Path} cannot be written now. The {Count} records of leases in it were read from a copy")]
    public static partial void ReadFromCopy(ILogger log, string path, int count);

    [LoggerMessage(EventId = 508, Level = LogLevel.Error, Message = "The disk of the journal {Path} has not answered for {Seconds} s. Leases go on without it; entries wait in memory")]
    public static partial void Overdue(ILogger log, string path, double seconds);

    [LoggerMessage(EventId = 509, Level = LogLevel.Information, Message = "The disk of the journal {Path} answers again")]
    public static partial void CameBack(ILogger log, string path);
}
