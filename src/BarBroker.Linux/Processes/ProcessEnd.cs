// SPDX-License-Identifier: Apache-2.0

using System.Globalization;

namespace BarBroker.Linux.Processes;

/// <summary>
/// Processes that are over for everybody but the kernel: killed, or exited, while one of their threads is in a call that no signal ends. Such a process runs none of its own
/// code any more, and keeps all its files open until that thread returns (exit_files in fs/file.c: the last thread closes them).
/// </summary>
public static class ProcessEnd
{
    /// <summary>signal(7), as a bit of the pending ones in proc_pid_stat(5).</summary>
    private const ulong SigKillBit = 1ul << (9 - 1);

    /// <summary>PF_EXITING in include/linux/sched.h.</summary>
    private const ulong Exiting = 0x4;

    /// <summary>Whether every thread of the process has ended, or will without running code of its own: a killed thread has SIGKILL pending until it begins to end (complete_signal, zap_other_threads in kernel/signal.c).</summary>
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

    /// <remarks>
    /// proc_pid_stat(5), whose fields are counted from behind the name, which may hold anything: 3 is the state, 9 the flags, 31 what is pending for this thread alone. A thread that
    /// closes files at its own end has taken its SIGKILL already, and shows PF_EXITING (do_exit in kernel/exit.c).
    /// </remarks>
    private static bool IsEnding(string thread)
    {
        string status = File.ReadAllText(Path.Combine(thread, "stat"));
        string[] fields = status[(status.LastIndexOf(')') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return fields.Length > 28
            && (fields[0] is "Z" or "X" || HasBit(fields[6], Exiting) || HasBit(fields[28], SigKillBit));
    }

    private static bool HasBit(string field, ulong bit) => ulong.TryParse(field, CultureInfo.InvariantCulture, out ulong bits) && (bits & bit) != 0;
}
