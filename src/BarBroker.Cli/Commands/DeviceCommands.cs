// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.V1;

namespace BarBroker.Cli.Commands;

internal static class DeviceCommands
{
    public static Command Create() => new("device", "Devices and their BARs") { List(), Show(), MapCommand.Create(), Cordon(), Uncordon(), DrainCommand.Create(Name(), Comment()), ResetCommand.Create(Name(), Comment()), BindingCommands.Bind(), BindingCommands.Unbind() };

    private static Argument<string> Name() => new("device") { Description = "The device's name", HelpName = "DEVICE" };

    private static Option<string?> Comment() => new("--comment") { Description = "Why; goes into the records", HelpName = "TEXT" };

    private static Command List()
    {
        var command = new Command("list", "All devices");
        command.SetListAction(
            static _ => false,
            static async (_, view, printer, cancellation) => printer.Devices(await view.ListDevicesAsync(cancellation)));
        return command;
    }

    private static Command Show()
    {
        var name = Name();
        var command = new Command("show", "One device, with a picture of its BARs") { name };
        command.SetViewAction(
            static _ => false,
            async (parsed, view, cancellation) =>
            {
                var (device, segments) = await view.GetDeviceAsync(parsed.GetRequiredValue(name), cancellation);
                GlobalOptions.PrinterOf(parsed).Device(device, segments);
            });
        return command;
    }

    private static Command Cordon()
    {
        var name = Name();
        var comment = Comment();
        var dryRun = Confirmation.DryRun();
        var command = new Command("cordon", "No new leases; those that live stay (operators)") { name, comment, dryRun };
        command.SetOperatorAction(async (parsed, connection, cancellation) =>
        {
            if (parsed.GetValue(dryRun))
            {
                return await ShowAsync(parsed, connection, parsed.GetRequiredValue(name), "would be cordoned", cancellation);
            }

            var request = new CordonDeviceRequest { Device = parsed.GetRequiredValue(name), Comment = parsed.GetValue(comment) ?? "" };
            GlobalOptions.PrinterOf(parsed).Device((await connection.Service.CordonDeviceAsync(request, cancellationToken: cancellation)).Device);
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Uncordon()
    {
        var name = Name();
        var dryRun = Confirmation.DryRun();
        var command = new Command("uncordon", "Leases are granted again (operators)") { name, dryRun };
        command.SetOperatorAction(async (parsed, connection, cancellation) =>
        {
            if (parsed.GetValue(dryRun))
            {
                return await ShowAsync(parsed, connection, parsed.GetRequiredValue(name), "would be cordoned no more", cancellation);
            }

            var request = new UncordonDeviceRequest { Device = parsed.GetRequiredValue(name) };
            GlobalOptions.PrinterOf(parsed).Device((await connection.Service.UncordonDeviceAsync(request, cancellationToken: cancellation)).Device);
            return ExitCode.Done;
        });
        return command;
    }

    /// <summary>The device as it is, instead of changing it.</summary>
    private static async Task<int> ShowAsync(ParseResult parsed, OperatorConnection connection, string name, string what, CancellationToken cancellation)
    {
        var answer = await connection.Service.GetDeviceAsync(new GetDeviceRequest { Device = name }, cancellationToken: cancellation);
        GlobalOptions.PrinterOf(parsed).Device(answer.Device);
        Failure.Say($"nothing was done; {name} {what}.");
        return ExitCode.Done;
    }
}
