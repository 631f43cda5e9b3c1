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

    /// <summary>Processes that are ending and that the kernel keeps: one of their threads sleeps in a call that no signal ends. A thread that closes its files as it ends no longer shows which.</summary>
    public static IReadOnlyList<int> Kept(string procRoot = "/proc") =>
    [
        .. Directory.EnumerateDirectories(procRoot)
            .Select(static directory => int.TryParse(Path.GetFileName(directory), CultureInfo.InvariantCulture, out int pid) ? pid : 0)
            .Where(pid => pid > 0 && IsEnding(pid, procRoot) && Sleeps(pid, procRoot)),
    ];

    private static (int Ending, int Other) Count(int pid, string procRoot)
    {
        try
        {
            string[] threads = Threads(pid, procRoot);
            int ending = threads.Count(IsEnding);
            return (ending, threads.Length - ending);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return default;
        }
    }

    private static string[] Threads(int pid, string procRoot) => Directory.GetDirectories(Path.Combine(procRoot, pid.ToString(CultureInfo.InvariantCulture), "task"));

    private static bool IsEnding(string thread) =>
        Fields(thread) is { Length: > 28 } fields && (fields[0] is "Z" or "X" || HasBit(fields[6], Exiting) || HasBit(fields[28], SigKillBit));

    private static bool Sleeps(int pid, string procRoot)
    {
        try
        {
            return Threads(pid, procRoot).Any(static thread => Fields(thread) is ["D", ..]);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <remarks>
    /// proc_pid_stat(5), from its third field on, counted from behind the name, which may hold anything: 3 is the state, 9 the flags, 31 what is pending for this thread alone. A thread
    /// that closes files at its own end has taken its SIGKILL already, and shows PF_EXITING (do_exit in kernel/exit.c).
    /// </remarks>
    private static string[] Fields(string thread)
    {
        string status = File.ReadAllText(Path.Combine(thread, "stat"));
        return status[(status.LastIndexOf(')') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
    }

    private static bool HasBit(string field, ulong bit) => ulong.TryParse(field, CultureInfo.InvariantCulture, out ulong bits) && (bits & bit) != 0;
}
