// SPDX-License-Identifier: Apache-2.0

using System.Globalization;

namespace BarBroker.Linux.Processes;

/// <summary>A process that has a file open.</summary>
/// <param name="Name">What the process calls itself; empty if it is gone.</param>
/// <param name="File">Which file.</param>
public sealed record FileHolder(int Pid, string Name, string File)
{
    private const string VfioDevice = "anon_inode:[vfio-device]";
    private const string VfioNode = "vfio/devices/vfio";

    /// <summary>What the name of a node of vfio begins with for who does not see the mount that it was opened in, such as that of a service's own /dev after the service has ended.</summary>
    private const string VfioDetached = "/vfio/";
    private const string VfioPath = "vfio-device-syspath:";

    /// <summary>Those that have one of <paramref name="files"/> open, by that name or, for nodes of vfio, by what is left of it where the mount is gone, except this process. Without root only the user's own processes are seen.</summary>
    public static IReadOnlyList<FileHolder> Of(IReadOnlyCollection<string> files, string procRoot = "/proc") =>
        files.Count == 0 ? [] : Find(procRoot, (_, target) => files.FirstOrDefault(file => file == target || IsDetached(target, file)));

    /// <summary>Those that have a device open through vfio, which its files tell on newer kernels (vfio_device_show_fdinfo in drivers/vfio/vfio_main.c of 7.3).</summary>
    /// <param name="devicePath">The device in sysfs, without links.</param>
    public static IReadOnlyList<FileHolder> OfVfioDevice(string devicePath, string procRoot = "/proc") =>
        Find(procRoot, (entry, target) => IsVfioDevice(target) && Information(entry).Any(line => IsOf(line, devicePath)) ? devicePath : null);

    public override string ToString() => Name.Length > 0 ? $"process {Pid} ({Name})" : $"process {Pid}";

    /// <param name="match">From a descriptor's entry and what it leads to, the file that is asked for, or null.</param>
    private static List<FileHolder> Find(string procRoot, Func<string, string, string?> match)
    {
        var found = new List<FileHolder>();
        foreach (string process in Directory.EnumerateDirectories(procRoot))
        {
            if (int.TryParse(Path.GetFileName(process), CultureInfo.InvariantCulture, out int pid) && pid != Environment.ProcessId)
            {
                found.AddRange(Descriptors(process).SelectMany(directory => Matches(directory, match)).Distinct().Select(file => new FileHolder(pid, ProcessName.Of(pid, procRoot), file)));
            }
        }

        return found;
    }

    /// <summary>Where the first thread has ended, the others may have the files that it had: they show them, and it does not.</summary>
    private static IEnumerable<string> Descriptors(string process)
    {
        string threads = Path.Combine(process, "task");
        try
        {
            return ProcessEnd.IsEnding(int.Parse(Path.GetFileName(process), CultureInfo.InvariantCulture), Path.GetDirectoryName(process)!)
                ? Directory.GetDirectories(threads).Select(static thread => Path.Combine(thread, "fd"))
                : [Path.Combine(process, "fd")];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private static List<string> Matches(string descriptors, Func<string, string, string?> match)
    {
        var files = new List<string>();
        try
        {
            foreach (string entry in Directory.EnumerateFileSystemEntries(descriptors))
            {
                if (new FileInfo(entry).LinkTarget is { } target && match(entry, target) is { } file)
                {
                    files.Add(file);
                }
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // It ended, or is another user's.
        }

        return files;
    }

    /// <summary>A device that was opened by its group has no name; one that was opened by its own node has that, which in another mount namespace may begin differently.</summary>
    private static bool IsVfioDevice(string target) => target == VfioDevice || target.Contains(VfioNode, StringComparison.Ordinal);

    private static bool IsDetached(string target, string file) => target.StartsWith(VfioDetached, StringComparison.Ordinal) && file.EndsWith(target, StringComparison.Ordinal);

    private static string[] Information(string entry) => System.IO.File.ReadAllLines(Path.Combine(entry, "../../fdinfo", Path.GetFileName(entry)));

    private static bool IsOf(string line, string devicePath) =>
        line.StartsWith(VfioPath, StringComparison.Ordinal) && line[VfioPath.Length..].Trim() == devicePath;
}
