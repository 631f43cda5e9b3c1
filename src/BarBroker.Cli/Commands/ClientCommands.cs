// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Cli.Output;

namespace BarBroker.Cli.Commands;

internal static class ClientCommands
{
    public static Command Create() => new("client", "Processes that hold leases, or wait for some") { List() };

    private static Command List()
    {
        var selectors = new Selectors();
        var command = new Command("list", "Processes that hold leases or wait for some, those of this user where only that is allowed");
        selectors.AddTo(command);
        command.SetListAction(
            static _ => false,
            async (parsed, view, printer, cancellation) =>
            {
                var (leases, waiting) = await view.ListAsync(selectors.From(parsed), cancellation);
                printer.Clients(ClientDocument.From(leases, waiting));
            });
        return command;
    }
}
