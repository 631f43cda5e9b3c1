// SPDX-License-Identifier: Apache-2.0

using Spectre.Console;

namespace BarBroker.Cli.Output;

/// <summary>What people see of configuration and policy.</summary>
internal static class PolicyTables
{
    public static void Reload(IAnsiConsole screen, ReloadDocument reload)
    {
        Faults(screen, reload.Faults);
        if (reload.Faults.Count > 0)
        {
            return;
        }

        Line(screen, $"in force: {(reload.Changed.Count > 0 ? string.Join(", ", reload.Changed) : "nothing that is different")}");
        if (reload.NeedRestart.Count > 0)
        {
            Line(screen, $"needs a restart: {string.Join(", ", reload.NeedRestart)}");
        }

        if (reload.Ended is { } ended)
        {
            Line(screen, $"leases that end: {ended}");
        }
    }

    public static void Faults(IAnsiConsole screen, IEnumerable<FaultDocument> faults)
    {
        foreach (var fault in faults.OrderBy(fault => fault.Line))
        {
            Line(screen, $"{(fault.Line > 0 ? $"line {fault.Line}: " : "")}{(fault.Path.Length > 0 ? $"{fault.Path}: " : "")}{fault.Message}");
        }
    }

    private static void Line(IAnsiConsole screen, string text) => screen.WriteLine(Words.Printable(text));
}
