// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Cli.Output;
using BarBroker.V1;

namespace BarBroker.Cli.Commands;

internal static class ReloadCommand
{
    public static Command Create()
    {
        var apply = new Option<bool>("--apply") { Description = "Also end the leases that the new policy does not allow; without it, what lives stays" };
        var command = new Command("reload", "Have the broker read its configuration again (operators)") { apply };
        command.SetOperatorAction(async (parsed, connection, cancellation) =>
        {
            var response = await connection.Service.ReloadAsync(new ReloadRequest { Apply = parsed.GetValue(apply) }, cancellationToken: cancellation);
            GlobalOptions.PrinterOf(parsed).Reload(ReloadDocument.From(response, parsed.GetValue(apply)));
            if (response.Faults.Count == 0)
            {
                return ExitCode.Done;
            }

            Failure.Say($"the configuration has {(response.Faults.Count == 1 ? "a fault" : $"{response.Faults.Count} faults")}; nothing has changed");
            return ExitCode.Failed;
        });
        return command;
    }
}
