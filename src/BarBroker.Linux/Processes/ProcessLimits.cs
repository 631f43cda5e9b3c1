// SPDX-License-Identifier: Apache-2.0

using System.Globalization;

namespace BarBroker.Linux.Processes;

/// <summary>What a process may use, as the kernel prints it in /proc/PID/limits (proc_pid_limits(5)).</summary>
public static class ProcessLimits
{
    public const string OpenFiles = "Max open files";

    /// <summary>Bytes.</summary>
    public const string LockedMemory = "Max locked memory";

    /// <summary>The soft limit of a process; <see cref="long.MaxValue"/> if there is none; null if the process is gone or hidden.</summary>
    /// <param name="process">A number, or self.</param>
    public static long? Soft(string limit, string process = "self", string procRoot = "/proc")
    {
        try
        {
            string? line = File.ReadLines(Path.Combine(procRoot, process, "limits")).FirstOrDefault(l => l.StartsWith(limit, StringComparison.Ordinal));
            string? soft = line?[limit.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries).FirstOrDefault();
            return soft is null ? null : soft == "unlimited" ? long.MaxValue : long.Parse(soft, CultureInfo.InvariantCulture);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
