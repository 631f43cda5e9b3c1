// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Cli.Output;
using BarBroker.Cli.Parsing;
using BarBroker.Cli.Running;
using BarBroker.V1;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace BarBroker.Cli.Commands;

/// <summary>Begins a drain and watches it. It is the broker's: going away stops nothing.</summary>
internal static class DrainCommand
{
    public static Command Create(Argument<string> name, Option<string?> comment)
    {
        var grace = Options.Duration("--grace", "Recall the leases, and revoke after this; without it, revoke at once");
        var command = new Command("drain", "Cordon, and end every lease; Ctrl-C stops watching only (operators)") { name, grace, comment };
        command.SetOperatorAction((parsed, connection, _) => RunAsync(
            new DrainDeviceRequest
            {
                Device = parsed.GetRequiredValue(name),
                Comment = parsed.GetValue(comment) ?? "",
                Grace = parsed.GetValue(grace) is { } time ? Duration.FromTimeSpan(time) : null,
            },
            connection,
            GlobalOptions.PrinterOf(parsed)));
        return command;
    }

    private static async Task<int> RunAsync(DrainDeviceRequest request, OperatorConnection connection, Printer printer)
    {
        using var signals = new StopSignals();
        using var call = connection.Service.DrainDevice(request, cancellationToken: signals.Token);
        EndingProgress? last = null;
        try
        {
            await printer.DrainAsync(request.Device, Responses());
        }
        catch (Exception exception) when (signals.Signal != 0 && exception is OperationCanceledException or RpcException { StatusCode: StatusCode.Cancelled })
        {
            printer.Flush();
            Failure.Say(last is null
                ? $"whether the drain of {request.Device} had begun is not known; 'barctl device show {request.Device}' tells."
                : $"the drain of {request.Device} goes on, with {last.Remaining} of {last.Total} leases left; 'barctl device show {request.Device}' tells how far it is.");
            return ExitCode.Signal + signals.Signal;
        }

        printer.Flush();
        return Tell(request.Device, last ?? new EndingProgress());

        async IAsyncEnumerable<DrainDeviceResponse> Responses()
        {
            await foreach (var response in call.ResponseStream.ReadAllAsync(signals.Token))
            {
                last = response.Progress;
                yield return response;
            }
        }
    }

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
