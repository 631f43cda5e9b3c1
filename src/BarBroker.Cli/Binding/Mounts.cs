// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Linux.Pci;

namespace BarBroker.Cli.Binding;

/// <summary>What is mounted where, and what is swap, as this process sees it (proc_pid_mountinfo(5), proc_swaps(5)).</summary>
internal sealed class Mounts
{
    private readonly ImmutableArray<(string Number, string Source, string Point)> _mounts;
    private readonly ImmutableArray<string> _swaps;

    private Mounts(ImmutableArray<(string Number, string Source, string Point)> mounts, ImmutableArray<string> swaps)
    {
        _mounts = mounts;
        _swaps = swaps;
    }

    public static Mounts Read(SystemRoots roots) => new(
        [.. Lines(Path.Combine(roots.Proc, "self/mountinfo")).Select(ToMount).OfType<(string, string, string)>()],
        [.. Lines(Path.Combine(roots.Proc, "swaps")).Skip(1).Select(static line => Unescape(line.Split(' ', 2)[0]))]);

    /// <summary>Where a disk or partition is mounted. By its number, and by its name: btrfs has numbers of its own.</summary>
    public IEnumerable<string> PointsOf(DeviceNode node, string path) =>
        _mounts.Where(mount => mount.Number == node.Number || mount.Source == path).Select(static mount => mount.Point).Distinct();

    public bool IsSwap(string path) => _swaps.Contains(path);

    private static (string Number, string Source, string Point)? ToMount(string line)
    {
        string[] fields = line.Split(' ');
        // Optional fields, then a dash, type, source, options.
        int dash = Array.IndexOf(fields, "-");
        return dash >= 6 && fields.Length > dash + 2 ? (fields[2], Unescape(fields[dash + 2]), Unescape(fields[4])) : null;
    }

    private static string[] Lines(string path)
    {
        try
        {
            return File.ReadAllLines(path);
        }
        catch (FileNotFoundException)
        {
            // A kernel without swap has no /proc/swaps.
            return [];
        }
    }

    /// <summary>Blanks and backslashes are written as octal numbers there.</summary>
    private static string Unescape(string text) =>
        text.Replace(@"\040", " ", StringComparison.Ordinal).Replace(@"\011", "\t", StringComparison.Ordinal).Replace(@"\134", @"\", StringComparison.Ordinal);
}
