// SPDX-License-Identifier: Apache-2.0

using System.ComponentModel;
using System.Diagnostics;

namespace BarBroker.Cli.Binding;

/// <summary>Loads kernel modules by the system's own program, which knows aliases, dependencies and the administrator's settings.</summary>
internal static class Modprobe
{
    /// <summary>Null if it is loaded now; else what modprobe says.</summary>
    public static string? Load(string module)
    {
        var start = new ProcessStartInfo("modprobe", ["--", module]) { RedirectStandardError = true, RedirectStandardOutput = true };
        try
        {
            using var process = Process.Start(start)!;
            process.StandardOutput.Close();
            string errors = process.StandardError.ReadToEnd().Trim();
            process.WaitForExit();
            return process.ExitCode == 0 ? null : $"modprobe {module}: {(errors.Length > 0 ? errors : $"exit status {process.ExitCode}")}";
        }
        catch (Win32Exception exception)
        {
            return $"modprobe {module}: {exception.Message}";
        }
    }
}
