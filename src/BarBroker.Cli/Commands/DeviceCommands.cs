// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.V1;

namespace BarBroker.Cli.Commands;

internal static class DeviceCommands
{
    public static Command Create() => new("device", "Devices and their BARs") { List(), Show(), Cordon(), Uncordon(), DrainCommand.Create(Name(), Comment()), ResetCommand.Create(Name(), Comment()), BindingCommands.Bind(), BindingCommands.Unbind() };

    private static Argument<string> Name() => new("device") { Description = "The device's name", HelpName = "DEVICE" };

    private static Option<string?> Comment() => new("--comment") { Description = "Why; goes into the records", HelpName = "TEXT" };

    private static Command List()
    {
        var command = new Command("list", "All devices");
        command.SetViewAction(
            static _ => false,
            static async (parsed, view, cancellation) => GlobalOptions.PrinterOf(parsed).Devices(await view.ListDevicesAsync(cancellation)));
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
        var command = new Command("cordon", "No new leases; those that live stay (operators)") { name, comment };
        command.SetOperatorAction(async (parsed, connection, cancellation) =>
        {
            var request = new CordonDeviceRequest { Device = parsed.GetRequiredValue(name), Comment = parsed.GetValue(comment) ?? "" };
            GlobalOptions.PrinterOf(parsed).Device((await connection.Service.CordonDeviceAsync(request, cancellationToken: cancellation)).Device);
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Uncordon()
    {
        var name = Name();
        var command = new Command("uncordon", "Leases are granted again (operators)") { name };
        command.SetOperatorAction(async (parsed, connection, cancellation) =>
        {
            var request = new UncordonDeviceRequest { Device = parsed.GetRequiredValue(name) };
            GlobalOptions.PrinterOf(parsed).Device((await connection.Service.UncordonDeviceAsync(request, cancellationToken: cancellation)).Device);
            return ExitCode.Done;
        });
        return command;
    }
}
