// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Cli.Output;
using BarBroker.Cli.Parsing;
using BarBroker.Cli.Running;
using BarBroker.V1;
using Google.Protobuf.WellKnownTypes;

namespace BarBroker.Cli.Commands;

/// <summary>Begins a drain and watches it. It is the broker's: going away stops nothing.</summary>
internal static class DrainCommand
{
    public static Command Create(Argument<string> name, Option<string?> comment)
    {
        var grace = Options.Duration("--grace", "Recall the leases, and revoke after this; without it, revoke at once");
        var noWait = new Option<bool>("--no-wait") { Description = "Do not wait for the proof that access is over" };
        var yes = Confirmation.Yes();
        var dryRun = Confirmation.DryRun();
        var command = new Command("drain", "Cordon, and end every lease; Ctrl-C stops watching only (operators)") { name, grace, comment, noWait, yes, dryRun };
        command.SetOperatorAction(async (parsed, connection, cancellation) =>
        {
            var request = new DrainDeviceRequest
            {
                Device = parsed.GetRequiredValue(name),
                Comment = parsed.GetValue(comment) ?? "",
                Grace = parsed.GetValue(grace) is { } time ? Duration.FromTimeSpan(time) : null,
            };
            var printer = GlobalOptions.PrinterOf(parsed);
            if (parsed.GetValue(dryRun))
            {
                var plan = await PlanAsync(request.Device, connection, cancellation);
                printer.Leases(plan);
                Failure.Say($"nothing was done; {request.Device} would be cordoned, and {Words.Leases(plan.Count)} would end.");
                return ExitCode.Done;
            }

            if (!parsed.GetValue(yes) && Confirmation.Refusal(await PlanAsync(request.Device, connection, cancellation), $"Drain {request.Device}?") is { } refusal)
            {
                return refusal;
            }

            return parsed.GetValue(noWait) ? await BeginAsync(request, connection, cancellation) : await RunAsync(request, connection, printer);
        });
        return command;
    }

    private static async Task<IReadOnlyList<Lease>> PlanAsync(string device, OperatorConnection connection, CancellationToken cancellation)
    {
        // Asked for its error, if there is no such device.
        await connection.Service.GetDeviceAsync(new GetDeviceRequest { Device = device }, cancellationToken: cancellation);
        return (await connection.Service.ListLeasesAsync(new OperatorListLeasesRequest { Selector = new LeaseSelector { Device = device } }, cancellationToken: cancellation)).Leases;
    }

    /// <summary>The first answer comes when all are recalled or revoked.</summary>
    private static async Task<int> BeginAsync(DrainDeviceRequest request, OperatorConnection connection, CancellationToken cancellation)
    {
        using var call = connection.Service.DrainDevice(request, cancellationToken: cancellation);
        if (!await call.ResponseStream.MoveNext(cancellation))
        {
            Failure.Say($"the broker said nothing of the drain of {request.Device}: see 'barctl device show {request.Device}'");
            return ExitCode.Failed;
        }

        TellGoingOn(request.Device, call.ResponseStream.Current.Progress);
        return ExitCode.Done;
    }

    private static async Task<int> RunAsync(DrainDeviceRequest request, OperatorConnection connection, Printer printer)
    {
        using var signals = new StopSignals();
        using var call = connection.Service.DrainDevice(request, cancellationToken: signals.Token);
        var endings = new Endings(printer, signals);
        if (await endings.WatchAsync(request.Device, call.ResponseStream, static response => (response.Lease, response.Progress)))
        {
            return Tell(request.Device, endings.Progress ?? new EndingProgress());
        }

        if (endings.Progress is { } progress)
        {
            TellGoingOn(request.Device, progress);
        }
        else
        {
            Failure.Say($"whether the drain of {request.Device} had begun is not known; 'barctl device show {request.Device}' tells.");
        }

        return ExitCode.Signal + signals.Signal;
    }

    private static void TellGoingOn(string device, EndingProgress progress) =>
        Failure.Say($"the drain of {device} goes on, with {progress.Remaining} of {progress.Total} leases left; 'barctl device show {device}' tells how far it is.");

    private static int Tell(string device, EndingProgress progress)
    {
        if (progress.Stuck == 0)
        {
            Failure.Say($"{device} is drained, and stays cordoned: {progress.Ended} of {progress.Total} leases ended.");
            return ExitCode.Done;
        }

        Failure.Say($"{device} stays cordoned: {progress.Ended} of {progress.Total} leases ended, {progress.Stuck} stuck, which the broker goes on trying to end.");
        return ExitCode.Stuck;
    }
}
