// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using Mono.Unix.Native;

namespace BarBroker.Linux.Processes;

/// <summary>Whether another process has a file, by a descriptor or a mapping.</summary>
public static class HeldFile
{
    private const string SelfDescriptors = "/proc/self/fd";

    /// <summary>What of the process holds the file that is open here, such as "descriptor 7"; null if nothing that /proc shows does.</summary>
    /// <remarks>
    /// May block for as long as the process' memory map is locked, which a fault that waits for a device does (mmap_lock). The names of descriptors are compared first, so
    /// that no file system but the file's own is asked for anything: one of the process' own making may never answer.
    /// </remarks>
    /// <exception cref="LinuxException">ESRCH: the process has ended.</exception>
    /// <exception cref="IOException">/proc cannot tell.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not look (ptrace(2), access mode checking).</exception>
    public static string? Find(PidFd process, FileDescriptor file)
    {
        if (process.Pid <= 0)
        {
            throw new IOException("the process has no number in this pid namespace");
        }

        try
        {
            string? found = FindDescriptor(process.Pid, file) ?? FindMapping(process.Pid, file);

            // Read while the process was there, so it is this one's and not that of a later process with its number.
            if (!process.HasExited())
            {
                return found;
            }
        }
        catch (IOException) when (process.HasExited())
        {
            // Told below.
        }

        throw new LinuxException("reading /proc", process.ToString(), Errno.ESRCH);
    }

    private static string? FindDescriptor(int pid, FileDescriptor file)
    {
        string own = $"{SelfDescriptors}/{file.Number.ToString(CultureInfo.InvariantCulture)}";
        string? name = new FileInfo(own).LinkTarget;
        var identity = Identify(own);
        foreach (string entry in Directory.EnumerateFileSystemEntries($"/proc/{pid}/fd"))
        {
            if (name is not null && LinkOf(entry) == name && TryIdentify(entry) == identity)
            {
                return $"descriptor {Path.GetFileName(entry)}";
            }
        }

        return null;
    }

    /// <remarks>proc_pid_maps(5): address, permissions, offset, device, inode, name.</remarks>
    internal static string? FindMapping(int pid, FileDescriptor file)
    {
        var (device, inode) = Identify($"{SelfDescriptors}/{file.Number.ToString(CultureInfo.InvariantCulture)}");
        string node = string.Create(CultureInfo.InvariantCulture, $"{Major(device):x2}:{Minor(device):x2}");
        string number = inode.ToString(CultureInfo.InvariantCulture);
        foreach (string line in File.ReadLines($"/proc/{pid}/maps"))
        {
            string[] fields = line.Split(' ', 6, StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length >= 5 && fields[3] == node && fields[4] == number)
            {
                return $"mapping {fields[0]}";
            }
        }

        return null;
    }

    private static string? LinkOf(string entry)
    {
        try
        {
            return new FileInfo(entry).LinkTarget;
        }
        catch (IOException)
        {
            // Closed meanwhile.
            return null;
        }
    }

    private static (ulong Device, ulong Inode) Identify(string path) =>
        TryIdentify(path) ?? throw new LinuxException("stat", path, (Errno)NativeConvert.FromErrno(Stdlib.GetLastError()));

    private static (ulong Device, ulong Inode)? TryIdentify(string path) =>
        Syscall.stat(path, out var status) == 0 ? (status.st_dev, status.st_ino) : null;

    /// <summary>As gnu_dev_major does (sys/sysmacros.h).</summary>
    private static ulong Major(ulong device) => ((device >> 8) & 0xfff) | ((device >> 32) & ~0xffful);

    /// <summary>As gnu_dev_minor does.</summary>
    private static ulong Minor(ulong device) => (device & 0xff) | ((device >> 12) & ~0xfful);
}
