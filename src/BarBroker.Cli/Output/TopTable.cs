// SPDX-License-Identifier: Apache-2.0

using Spectre.Console;

namespace BarBroker.Cli.Output;

/// <summary>What people see of the broker at one moment.</summary>
internal static class TopTable
{
    public static void Write(IAnsiConsole screen, TopDocument top, bool wide)
    {
        var status = top.Status;
        screen.WriteLine(Words.Printable($"barbrokerd {status.Version}, process {status.Pid}, up {Words.Seconds(status.UptimeSeconds)}; {status.Ended} leases ended since the start"));
        screen.WriteLine($"leases: {status.Granted} granted, {status.Active} active, {status.Recalled} recalled, {status.Revoking} revoking, {status.Stuck} stuck; {top.Waiting.Count} waiting");
        if (status.Warnings.Count > 0)
        {
            screen.Write(new Text($"{status.Warnings.Count} {(status.Warnings.Count == 1 ? "warning" : "warnings")}: see 'barctl status'\n", new Style(Color.Yellow)));
        }

        screen.WriteLine();
        Tables.Devices(screen, status.Devices, wide);
        screen.WriteLine();
        if (top.Waiting.Count > 0)
        {
            Tables.Waiting(screen, top.Waiting, wide);
            screen.WriteLine();
        }

        Tables.Leases(screen, top.Leases, wide);
    }
}
