// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Cli.Output;
using BarBroker.Cli.Parsing;
using BarBroker.V1;
using Google.Protobuf.WellKnownTypes;

namespace BarBroker.Cli.Commands;

/// <summary>Tells what a reset would do before it is made, and asks where leases would end.</summary>
internal static class ResetCommand
{
    public static Command Create(Argument<string> name, Option<string?> comment)
    {
        var grace = Options.Duration("--grace", "Recall the leases, and reset after this, or as soon as they have ended; without it, at once");
        var yes = Confirmation.Yes();
        var dryRun = Confirmation.DryRun();
        var command = new Command("reset", "End every lease, close, reset and reopen the device; frees what is stuck (operators)") { name, grace, comment, yes, dryRun };
        command.SetOperatorAction(async (parsed, connection, cancellation) =>
        {
            var request = new ResetDeviceRequest
            {
                Device = parsed.GetRequiredValue(name),
                Comment = parsed.GetValue(comment) ?? "",
                Grace = parsed.GetValue(grace) is { } time ? Duration.FromTimeSpan(time) : null,
                DryRun = true,
            };
            var planned = await connection.Service.ResetDeviceAsync(request, cancellationToken: cancellation);
            var plan = ResetPlanDocument.From(planned);
            var printer = GlobalOptions.PrinterOf(parsed);
            if (parsed.GetValue(dryRun))
            {
                printer.ResetPlan(plan);
                return ExitCode.Done;
            }

            if (!parsed.GetValue(yes) && plan.Ends.Count > 0 && Confirmation.Refusal(plan.Lines(), $"Reset {plan.Device}?") is { } refusal)
            {
                return refusal;
            }

            request.DryRun = false;
            var response = await connection.Service.ResetDeviceAsync(request, cancellationToken: cancellation);
            printer.Device(response.Device);
            Failure.Say($"{Words.Leases(response.Ended)} ended by the reset.");
            return ExitCode.Done;
        });
        return command;
    }
}
