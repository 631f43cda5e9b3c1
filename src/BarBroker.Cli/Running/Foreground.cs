// SPDX-License-Identifier: Apache-2.0

using System.Globalization;

namespace BarBroker.Cli.Running;

/// <summary>Whether the terminal sends its signals to this process group, of which the started command is a member.</summary>
internal static class Foreground
{
    /// <summary>Fields 5 (pgrp) and 8 (tpgid) of proc_pid_stat(5), counted behind the command name, which may hold anything.</summary>
    public static bool IsThisGroup()
    {
        string stat = File.ReadAllText("/proc/self/stat");
        string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return int.Parse(fields[5], CultureInfo.InvariantCulture) == int.Parse(fields[2], CultureInfo.InvariantCulture);
    }
}
