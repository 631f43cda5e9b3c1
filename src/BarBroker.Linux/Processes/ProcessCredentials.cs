// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.Globalization;

namespace BarBroker.Linux.Processes;

/// <summary>As whom a process acts, by /proc/PID/status (proc_pid_status(5)).</summary>
/// <param name="Uid">The effective user.</param>
/// <param name="Groups">The effective and the supplementary groups.</param>
public sealed record ProcessCredentials(uint Uid, ImmutableArray<uint> Groups)
{
    /// <summary>Null if the process is gone or hidden.</summary>
    /// <param name="process">A number, or self.</param>
    public static ProcessCredentials? Of(string process, string procRoot = "/proc")
    {
        try
        {
            var lines = File.ReadLines(Path.Combine(procRoot, process, "status")).ToArray();
            // Real, effective, saved, and that of the file system.
            return new ProcessCredentials(Numbers("Uid:")[1], [.. Numbers("Gid:").Skip(1).Take(1), .. Numbers("Groups:")]);

            uint[] Numbers(string key) =>
                [.. lines.First(line => line.StartsWith(key, StringComparison.Ordinal))[key.Length..].Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries).Select(text => uint.Parse(text, CultureInfo.InvariantCulture))];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or InvalidOperationException)
        {
            return null;
        }
    }
}
