// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Cli.Output;
using BarBroker.Cli.Running;

namespace BarBroker.Cli.Commands;

internal static class LeaseCommands
{
    public static Command Create() => new("lease", "Leases") { List(), Show(), Queue(), Watch(), RevokeCommand.Create(isRecall: false), RevokeCommand.Create(isRecall: true), AcquireCommand.Create() };

    private static Option<bool> Mine() => new("--mine") { Description = "Only this user's leases, by the client socket" };

    private static Command List()
    {
        var selectors = new Selectors();
        var mine = Mine();
        var ended = new Option<bool>("--ended", "-a") { Description = "Also leases that ended, as far as the broker remembers" };
        var command = new Command("list", "Leases of everybody, or of this user where only that is allowed") { mine, ended };
        selectors.AddTo(command);
        command.SetListAction(
            parsed => parsed.GetValue(mine),
            async (parsed, view, printer, cancellation) => printer.Leases(await view.ListLeasesAsync(selectors.From(parsed), parsed.GetValue(ended), cancellation)));
        return command;
    }

    private static Command Show()
    {
        var id = new Argument<string>("lease") { Description = "The lease's id", HelpName = "LEASE" };
        var command = new Command("show", "One lease, also a while after its end") { id };
        command.SetViewAction(
            static _ => false,
            async (parsed, view, cancellation) => GlobalOptions.PrinterOf(parsed).Lease(await view.GetLeaseAsync(parsed.GetRequiredValue(id), cancellation)));
        return command;
    }

    private static Command Queue()
    {
        var selectors = new Selectors(hasStates: false);
        var mine = Mine();
        var command = new Command("queue", "Acquires that wait, in the order in which each device serves them") { mine };
        selectors.AddTo(command);
        GlobalOptions.HasNoNames(command);
        command.SetListAction(
            parsed => parsed.GetValue(mine),
            async (parsed, view, printer, cancellation) => printer.Waiting(await view.ListWaitingAsync(selectors.From(parsed), cancellation)));
        return command;
    }

    private static Command Watch()
    {
        var mine = Mine();
        var selectors = new Selectors();
        var command = new Command("watch", "What happens to leases and devices from now on, until interrupted") { mine };
        selectors.AddTo(command);
        command.SetViewAction(
            parsed => parsed.GetValue(mine),
            async (parsed, view, cancellation) =>
            {
                var printer = GlobalOptions.PrinterOf(parsed);
                var selector = selectors.From(parsed);
                LostReader.EndsTheProcess();
                await foreach (var (lease, device) in view.WatchAsync(cancellation))
                {
                    if ((lease is not null && Selectors.Matches(selector, lease)) || (device is not null && Selectors.Matches(selector, device)))
                    {
                        printer.Event(new EventDocument
                        {
                            Lease = lease is not null ? LeaseDocument.From(lease) : null,
                            Device = device is not null ? DeviceDocument.From(device) : null,
                        });
                    }
                }
            });
        return command;
    }
}
