// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.Globalization;
using BarBroker.Linux;

namespace BarBroker.Journal;

/// <summary>Where the journal's database is, and what is done with one that is no good.</summary>
internal sealed class JournalFile(string directory)
{
    /// <summary>Files that are set aside, the newest ones.</summary>
    private const int Kept = 3;

    /// <summary>Of the files that the database is made of.</summary>
    public static readonly ImmutableArray<string> Suffixes = ["-wal", ""];

    private FileIdentity? _opened;

    public string Path { get; } = System.IO.Path.Combine(directory, "journal.db");

    /// <summary>The file that is there now is the one that is used.</summary>
    public void Opened() => _opened = FileIdentity.Of(Path);

    /// <summary>Somebody has removed the file, or put another one in its place.</summary>
    public bool IsGone => _opened is { } opened && FileIdentity.Of(Path) != opened;

    /// <summary>Renames it, with its log, and removes the oldest of those that were set aside before. Returns the new name; null: there was none.</summary>
    /// <exception cref="IOException">It stays where it is.</exception>
    /// <exception cref="UnauthorizedAccessException">It stays where it is.</exception>
    public string? SetAside()
    {
        _opened = null;
        int[] before = [.. Numbers().Order()];
        string aside = Name(before.LastOrDefault() + 1);
        string? moved = null;
        foreach (string suffix in Suffixes)
        {
            if (File.Exists(Path + suffix))
            {
                File.Move(Path + suffix, aside + suffix, overwrite: true);
                moved = aside;
            }
        }

        foreach (int old in before.SkipLast(Kept - 1))
        {
            File.Delete(Name(old));
            File.Delete($"{Name(old)}-wal");
        }

        return moved;
    }

    private string Name(int number) => string.Create(CultureInfo.InvariantCulture, $"{Path}.corrupt-{number}");

    private IEnumerable<int> Numbers()
    {
        string prefix = $"{System.IO.Path.GetFileName(Path)}.corrupt-";
        return Directory.EnumerateFiles(directory, $"{prefix}*")
            .Select(file => System.IO.Path.GetFileName(file)[prefix.Length..])
            .Select(text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : 0)
            .Where(number => number > 0);
    }
}
