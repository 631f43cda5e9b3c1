// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Output;

/// <summary>How the broker's journal is; a problem that is null is none.</summary>
internal sealed record JournalDocument(string Path, string? Problem, ulong Bytes, ulong Waiting, ulong Lost, ulong Unprotected, ulong Errors, ulong Unproven)
{
    public static JournalDocument From(V1.JournalStatus journal) =>
        new(journal.Path, journal.Problem.Length > 0 ? journal.Problem : null, journal.Bytes, journal.Waiting, journal.Lost, journal.Unprotected, journal.Errors, journal.Unproven);
}
