// SPDX-License-Identifier: Apache-2.0

using System.Globalization;

namespace BarBroker.Testing;

/// <summary>What descriptors this process has, by kind: "socket:[]", "/memfd:barbroker:sim0:0 (deleted)", "anon_inode:[pidfd]".</summary>
public sealed class OpenFiles
{
    private readonly Dictionary<string, int> _counts = [];

    private OpenFiles()
    {
    }

    public int Total => _counts.Values.Sum();

    public static OpenFiles Now()
    {
        var now = new OpenFiles();
        foreach (var entry in new DirectoryInfo("/proc/self/fd").EnumerateFileSystemInfos())
        {
            if (KindOf(entry) is { } kind && !IsRuntimes(kind))
            {
                now._counts[kind] = now._counts.GetValueOrDefault(kind) + 1;
            }
        }

        return now;
    }

    /// <summary>How many there are of a kind whose name contains this.</summary>
    public int Count(string kind) => _counts.Where(pair => pair.Key.Contains(kind, StringComparison.Ordinal)).Sum(pair => pair.Value);

    /// <summary>What there is more of than there was before, in words; empty if nothing.</summary>
    public string MoreThan(OpenFiles before) => string.Join(", ", _counts
        .Select(pair => (pair.Key, More: pair.Value - before._counts.GetValueOrDefault(pair.Key)))
        .Where(kind => kind.More > 0)
        .Select(kind => string.Create(CultureInfo.InvariantCulture, $"{kind.More} of {kind.Key}")));

    /// <summary>What the runtime opens when it needs it, and keeps: one epoll for all sockets, one inotify for all watchers of files, its assemblies and their symbols; and the directory that is being listed.</summary>
    private static bool IsRuntimes(string kind) =>
        kind.StartsWith("anon_inode:[eventpoll]", StringComparison.Ordinal)
        || kind.StartsWith("anon_inode:inotify", StringComparison.Ordinal)
        || kind.StartsWith("/proc/", StringComparison.Ordinal)
        || kind.EndsWith(".dll", StringComparison.Ordinal)
        || kind.EndsWith(".pdb", StringComparison.Ordinal)
        || kind.EndsWith(".so", StringComparison.Ordinal);

    private static string? KindOf(FileSystemInfo entry)
    {
        try
        {
            string? target = entry.LinkTarget;
            int number = target?.IndexOf(":[", StringComparison.Ordinal) ?? -1;
            bool isNumbered = number > 0 && char.IsAsciiDigit(target![number + 2]);
            return isNumbered ? target![..number] + ":[]" : target;
        }
        catch (IOException)
        {
            // Closed between listing and looking.
            return null;
        }
    }
}
