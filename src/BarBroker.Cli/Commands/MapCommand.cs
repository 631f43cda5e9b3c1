// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Cli.Output;
using BarBroker.V1;

namespace BarBroker.Cli.Commands;

/// <summary>Who has which part of a BAR.</summary>
internal static class MapCommand
{
    public static Command Create()
    {
        var names = new Argument<string[]>("device") { Description = "Names of devices; without one, all", HelpName = "DEVICE", Arity = ArgumentArity.ZeroOrMore };
        var repeating = new Repeating();
        var command = new Command("map", "Draw each BAR: what is free, leased by whom, recalled, quarantined (operators)") { names };
        repeating.AddTo(command);
        command.SetOperatorAction(async (parsed, connection, cancellation) =>
        {
            string[] devices = parsed.GetValue(names) ?? [];
            if (repeating.IsAsked(parsed))
            {
                return await repeating.RunAsync(parsed, (printer, stop) => ShowAsync(connection, devices, printer, stop));
            }

            await ShowAsync(connection, devices, GlobalOptions.PrinterOf(parsed), cancellation);
            return ExitCode.Done;
        });
        return command;
    }

    private static async Task ShowAsync(OperatorConnection connection, string[] names, Printer printer, CancellationToken cancellation)
    {
        if (names.Length == 0)
        {
            names = [.. (await connection.Service.ListDevicesAsync(new OperatorListDevicesRequest(), cancellationToken: cancellation)).Devices.Select(static device => device.Name)];
        }

        var maps = new List<MapDocument>();
        foreach (string name in names.Distinct())
        {
            var answer = await connection.Service.GetDeviceAsync(new GetDeviceRequest { Device = name }, cancellationToken: cancellation);
            var leases = await connection.Service.ListLeasesAsync(new OperatorListLeasesRequest { Selector = new LeaseSelector { Device = name } }, cancellationToken: cancellation);
            maps.Add(MapDocument.From(answer.Device, answer.Segments, leases.Leases));
        }

        printer.Map([.. maps]);
    }
}
