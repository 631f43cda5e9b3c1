// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;

namespace BarBroker.Cli.Commands;

/// <summary>The tree of commands.</summary>
internal static class BarctlCommand
{
    public static RootCommand Create() => new("Leases of PCI BAR ranges: look at them, take them, take them back.")
    {
        GlobalOptions.RuntimeDirectory,
        GlobalOptions.Output,
        DeviceCommands.Create(),
        LeaseCommands.Create(),
        PoolCommands.Create(),
        ClientCommands.Create(),
        StatusCommand.Create(),
        TopCommand.Create(),
        HistoryCommand.Create(),
        RunCommand.Create(),
        ReloadCommand.Create(),
        PolicyCommands.Create(),
        DoctorCommand.Create(),
        CompletionCommand.Create(),
    };
}
