// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Linux.Processes;

/// <summary>A process that has a file open.</summary>
/// <param name="Name">What the process calls itself; empty if it is gone.</param>
public sealed record FileHolder(int Pid, string Name, string Path)
{
    /// <summary>Those that have one of <paramref name="paths"/> open, by that name, except this process. Without root only the user's own processes are seen.</summary>
    public static IReadOnlyList<FileHolder> Of(IReadOnlyCollection<string> paths, string procRoot = "/proc")
    {
        var found = new List<FileHolder>();
        foreach (string process in paths.Count == 0 ? [] : Directory.EnumerateDirectories(procRoot))
        {
            if (int.TryParse(System.IO.Path.GetFileName(process), out int pid) && pid != Environment.ProcessId)
            {
                found.AddRange(Open(process).Where(paths.Contains).Distinct().Select(path => new FileHolder(pid, ProcessName.Of(pid, procRoot), path)));
            }
        }

        return found;
    }

    public override string ToString() => Name.Length > 0 ? $"process {Pid} ({Name})" : $"process {Pid}";

    private static List<string> Open(string process)
    {
        var targets = new List<string>();
        try
        {
            foreach (string entry in Directory.EnumerateFileSystemEntries(System.IO.Path.Combine(process, "fd")))
            {
                if (new FileInfo(entry).LinkTarget is { } target)
                {
                    targets.Add(target);
                }
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // It ended, or is another user's.
        }

        return targets;
    }
}
