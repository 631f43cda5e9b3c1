// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Linux.Processes;

/// <summary>What a process calls itself; it identifies nothing.</summary>
public static class ProcessName
{
    /// <summary>The command name of at most 15 bytes (proc_pid_comm(5)); empty if the process is gone or hidden.</summary>
    public static string Of(int pid, string procRoot = "/proc")
    {
        try
        {
            return File.ReadAllText(Path.Combine(procRoot, $"{pid}", "comm")).TrimEnd('\n');
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
