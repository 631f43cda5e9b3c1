// SPDX-License-Identifier: Apache-2.0

using System.Globalization;

namespace BarBroker.Linux.Processes;

/// <summary>
/// Processes that are over for everybody but the kernel: killed, or exited, while one of their threads is in a call that no signal ends. Such a process runs none of its own
/// code any more, and keeps all its files open until that thread returns (exit_files in fs/file.c: the last thread closes them).
/// </summary>
public static class ProcessEnd
{
    /// <summary>signal(7), as a bit of the masks in proc_pid_status(5).</summary>
    private const ulong SigKillBit = 1ul << (9 - 1);

    /// <summary>Whether every thread of the process has ended, or will without running code of its own: a killed thread has SIGKILL pending until it ends (complete_signal, zap_other_threads in kernel/signal.c).</summary>
    /// <returns>False also where there is no such process.</returns>
    public static bool IsEnding(int pid, string procRoot = "/proc") => Count(pid, procRoot) is { Ending: > 0, Other: 0 };

    /// <summary>Whether some threads are as far; the others may be on their way, which takes a moment, and show nothing of it (get_signal takes SIGKILL from what is pending).</summary>
    public static bool HasBegun(int pid, string procRoot = "/proc") => Count(pid, procRoot).Ending > 0;

    private static (int Ending, int Other) Count(int pid, string procRoot)
    {
        try
        {
            string[] threads = Directory.GetDirectories(Path.Combine(procRoot, pid.ToString(CultureInfo.InvariantCulture), "task"));
            int ending = threads.Count(IsEnding);
            return (ending, threads.Length - ending);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return default;
        }
    }

    private static bool IsEnding(string thread)
    {
        foreach (string line in File.ReadLines(Path.Combine(thread, "status")))
        {
            if (line.StartsWith("State:", StringComparison.Ordinal) && line.AsSpan(6).TrimStart() is ['Z' or 'X', ..])
            {
                return true;
            }

            if (line.StartsWith("SigPnd:", StringComparison.Ordinal))
            {
                return ulong.TryParse(line.AsSpan(7).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong pending) && (pending & SigKillBit) != 0;
            }
        }

        return false;
    }
}
