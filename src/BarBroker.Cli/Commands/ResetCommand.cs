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
        var yes = new Option<bool>("--yes", "-y") { Description = "Do not ask" };
        var dryRun = new Option<bool>("--dry-run") { Description = "Only show what it would do" };
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

            if (!parsed.GetValue(yes) && plan.Ends.Count > 0 && Refusal(plan) is { } refusal)
            {
                return refusal;
            }

            request.DryRun = false;
            var response = await connection.Service.ResetDeviceAsync(request, cancellationToken: cancellation);
            printer.Device(response.Device);
            Failure.Say($"{response.Ended} {(response.Ended == 1 ? "lease" : "leases")} ended by the reset.");
            return ExitCode.Done;
        });
        return command;
    }

    /// <summary>Null if somebody says yes; else the exit code.</summary>
    private static int? Refusal(ResetPlanDocument plan)
    {
        foreach (string line in plan.Lines())
        {
            Console.Error.WriteLine(Words.Printable(line));
        }

        if (Console.IsInputRedirected || Console.IsErrorRedirected)
        {
            Failure.Say($"nothing was done, since nobody can be asked here; --yes resets {plan.Device} and ends these leases.");
            return ExitCode.Usage;
        }

        Console.Error.Write($"Reset {plan.Device}? [y/N] ");
        if (Console.ReadLine()?.Trim() is "y" or "Y" or "yes")
        {
            return null;
        }

        Failure.Say("nothing was done.");
        return ExitCode.Failed;
    }
}
