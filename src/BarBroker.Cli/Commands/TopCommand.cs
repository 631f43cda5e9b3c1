// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Cli.Output;
using BarBroker.V1;

namespace BarBroker.Cli.Commands;

/// <summary>The broker, its devices, what waits and what lives, at a glance.</summary>
internal static class TopCommand
{
    public static Command Create()
    {
        var repeating = new Repeating();
        var command = new Command("top", "The broker at a glance, painted anew until q or Ctrl-C; where there is no terminal, once (operators)");
        repeating.AddTo(command, always: true);
        GlobalOptions.HasNoNames(command);
        command.SetOperatorAction((parsed, connection, cancellation) =>
            Screen.IsTerminal && GlobalOptions.PrinterOf(parsed).IsTable
                ? repeating.RunAsync(parsed, (printer, stop) => ShowAsync(connection, printer, stop))
                : OnceAsync(connection, GlobalOptions.PrinterOf(parsed), cancellation));
        return command;
    }

    private static async Task<int> OnceAsync(OperatorConnection connection, Printer printer, CancellationToken cancellation)
    {
        await ShowAsync(connection, printer, cancellation);
        return ExitCode.Done;
    }

    private static async Task ShowAsync(OperatorConnection connection, Printer printer, CancellationToken cancellation)
    {
        var status = await connection.Service.GetStatusAsync(new GetStatusRequest(), cancellationToken: cancellation);
        var leases = await connection.Service.ListLeasesAsync(new OperatorListLeasesRequest(), cancellationToken: cancellation);
        printer.Top(TopDocument.From(status, leases));
    }
}
