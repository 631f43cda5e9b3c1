// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.V1;

namespace BarBroker.Cli.Commands;

internal static class StatusCommand
{
    public static Command Create()
    {
        var command = new Command("status", "The broker as a whole (operators)");
        GlobalOptions.HasNoNames(command);
        command.SetOperatorAction(static async (parsed, connection, cancellation) =>
        {
            var status = await connection.Service.GetStatusAsync(new GetStatusRequest(), cancellationToken: cancellation);
            GlobalOptions.PrinterOf(parsed).Status(status);
            return ExitCode.Done;
        });
        return command;
    }
}
