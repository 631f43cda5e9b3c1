// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;

namespace BarBroker.Cli.Commands;

internal static class PoolCommands
{
    public static Command Create() => new("pool", "Pools and what is free in them") { List(), Show() };

    private static Command List()
    {
        var command = new Command("list", "All pools that this user may lease from, by device");
        command.SetListAction(
            static _ => false,
            static async (_, view, printer, cancellation) => printer.Pools(await view.ListPoolsAsync(cancellation)));
        return command;
    }

    private static Command Show()
    {
        var name = new Argument<string>("pool") { Description = "The pool's name", HelpName = "POOL" };
        var command = new Command("show", "One pool: where it is, and why a device does not serve it") { name };
        command.SetViewAction(
            static _ => false,
            async (parsed, view, cancellation) => GlobalOptions.PrinterOf(parsed).Pool(await view.GetPoolAsync(parsed.GetRequiredValue(name), cancellation)));
        return command;
    }
}
