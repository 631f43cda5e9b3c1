// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Cli.Binding;
using BarBroker.Cli.Running;
using BarBroker.Configuration;
using BarBroker.Linux;
using BarBroker.Linux.Pci;

namespace BarBroker.Cli.Commands;

/// <summary>Which driver a PCI device belongs to: works on the system itself, without a broker.</summary>
internal static class BindingCommands
{
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(3);

    public static Command Bind()
    {
        var common = new BindingOptions("Bind them at each boot and when they are plugged in, too");
        var driver = new Option<string?>("--driver") { Description = $"The driver [default: {DriverChoice.Preferred} where it is installed, else {DriverChoice.Fallback}]", HelpName = "DRIVER" };
        var command = new Command("bind", "Put PCI devices on a vfio driver, so that the broker can serve them (root)") { driver };
        common.AddTo(command);
        command.SetGuardedAction((parsed, cancellation) => RunAsync(
            parsed, common, (binder, target) => binder.Bind(target, parsed.GetValue(driver), common.IsPersistent(parsed), common.IsDryRun(parsed)), cancellation));
        return command;
    }

    public static Command Unbind()
    {
        var common = new BindingOptions("Do not bind them at boots any more, either");
        var command = new Command("unbind", "Give PCI devices back to the drivers that they had (root)");
        common.AddTo(command);
        command.SetGuardedAction((parsed, cancellation) => RunAsync(
            parsed, common, (binder, target) => binder.Unbind(target, common.IsPersistent(parsed), common.IsDryRun(parsed)), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(ParseResult parsed, BindingOptions options, Func<DeviceBinder, BindingTarget, BindingDocument> act, CancellationToken cancellation)
    {
        var unknown = new List<string>();
        IReadOnlyList<BindingTarget> targets;
        try
        {
            targets = BindingTarget.Resolve(options.Names(parsed), options.Configuration(parsed), unknown.Add);
        }
        catch (ConfigurationException exception)
        {
            string name = options.Names(parsed).First(static name => PciAddress.Parse(name) is null);
            Failure.Say($"{name} is no PCI address such as 0000:01:00.0, and names are looked up in the broker's configuration, which cannot be used.\n{exception.Message}");
            return ExitCode.Usage;
        }

        unknown.ForEach(Failure.Say);
        if (unknown.Count > 0)
        {
            return ExitCode.NotFound;
        }

        if (Users.EffectiveUid != 0 && !options.IsDryRun(parsed))
        {
            Failure.Say("only root may change which driver a device has; --dry-run shows what would be done.");
            return ExitCode.Denied;
        }

        var broker = await BrokerState.FindAsync(GlobalOptions.DirectoryOf(parsed), cancellation);
        return Run(GlobalOptions.PrinterOf(parsed), targets, broker, act);
    }

    private static int Run(Output.Printer printer, IReadOnlyList<BindingTarget> targets, BrokerState? broker, Func<DeviceBinder, BindingTarget, BindingDocument> act)
    {
        using var signals = new StopSignals();
        var roots = SystemRoots.Real;
        var obstacles = new Obstacles(roots, broker, NetworkUse.AddressesOf);
        PciNode? current = null;
        var writer = new PatientWriter(new AttributeWriter(), _patience, TellWaiting, signals.Token);
        var binder = new DeviceBinder(roots, new DriverSwitch(roots.Sys, writer), obstacles, new PersistentBindings(roots, Environment.ProcessPath ?? ""), new BrokerNodes(roots, Users.FindUser(BrokerNodes.UserName)), Modprobe.Load);
        int status = ExitCode.Done;
        try
        {
            printer.Bindings(targets.Select(Act));
            return status;
        }
        catch (OperationCanceledException)
        {
            Failure.Say(Interrupted(current!));
            return ExitCode.Signal + signals.Signal;
        }

        BindingDocument Act(BindingTarget target)
        {
            current = new PciNode(roots.Sys, target.Address);
            var document = act(binder, target);
            status = document.Errors.Count > 0 ? ExitCode.Failed : status;
            Tell(document);
            return document;
        }

        void TellWaiting(string write) => Failure.Say(
            $"{current!.Address}: the kernel has not finished {write}; its driver waits for those that have the device open{(obstacles.Holders(current!) is { Length: > 0 } who ? $", perhaps {who}" : "")}.");
    }

    private static void Tell(BindingDocument document)
    {
        foreach (string warning in document.Warnings)
        {
            Failure.Say($"warning: {warning}");
        }

        foreach (string error in document.Errors)
        {
            Failure.Say($"{document.Device} {(document.Result == "refused" ? "is left alone" : "failed")}: {error}");
        }
    }

    private static string Interrupted(PciNode device) =>
        $"interrupted. {device.Address} has {(device.Driver is { } driver ? $"the driver {driver}" : "no driver")}, and its driver_override is '{device.DriverOverride}'. What the kernel has begun it ends, "
        + "and barctl ends after it; an unbind leaves the device without a driver then. Run the command again to finish, or the opposite one to go back.";
}
