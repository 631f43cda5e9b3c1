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
        var yes = Confirmation.Yes();
        var dryRun = Confirmation.DryRun();
        var command = new Command("reload", "Have the broker read its configuration again (operators)") { apply, yes, dryRun };
        GlobalOptions.HasNoNames(command);
        command.SetOperatorAction(async (parsed, connection, cancellation) =>
        {
            var request = new ReloadRequest { Apply = parsed.GetValue(apply), DryRun = parsed.GetValue(dryRun) };
            if (request is { Apply: true, DryRun: false } && !parsed.GetValue(yes))
            {
                var plan = await connection.Service.ReloadAsync(new ReloadRequest { Apply = true, DryRun = true }, cancellationToken: cancellation);
                if (plan.Ended > 1 && Confirmation.Refusal([$"{plan.Ended} leases end by it."], "Reload?") is { } refusal)
                {
                    return refusal;
                }
            }

            var response = await connection.Service.ReloadAsync(request, cancellationToken: cancellation);
            GlobalOptions.PrinterOf(parsed).Reload(ReloadDocument.From(response, request.Apply));
            if (response.Faults.Count > 0)
            {
                Failure.Say($"the configuration has {(response.Faults.Count == 1 ? "a fault" : $"{response.Faults.Count} faults")}; nothing has changed");
                return ExitCode.Failed;
            }

            if (request.DryRun)
            {
                Failure.Say("nothing was done; this would be so.");
            }

            return ExitCode.Done;
        });
        return command;
    }
}
