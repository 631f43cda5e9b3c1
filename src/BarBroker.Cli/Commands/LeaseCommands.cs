// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Cli.Output;
using BarBroker.Cli.Parsing;
using BarBroker.V1;
using Google.Protobuf.WellKnownTypes;

namespace BarBroker.Cli.Commands;

internal static class LeaseCommands
{
    public static Command Create() => new("lease", "Leases") { List(), Show(), Queue(), Watch(), Revoke(isRecall: false), Revoke(isRecall: true), AcquireCommand.Create() };

    private static Option<bool> Mine() => new("--mine") { Description = "Only this user's leases, by the client socket" };

    private static Command List()
    {
        var selectors = new Selectors();
        var mine = Mine();
        var ended = new Option<bool>("--ended", "-a") { Description = "Also leases that ended, as far as the broker remembers" };
        var command = new Command("list", "Leases of everybody, or of this user where only that is allowed") { mine, ended };
        selectors.AddTo(command);
        command.SetViewAction(
            parsed => parsed.GetValue(mine),
            async (parsed, view, cancellation) => GlobalOptions.PrinterOf(parsed).Leases(await view.ListLeasesAsync(selectors.From(parsed), parsed.GetValue(ended), cancellation)));
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
        var selectors = new Selectors();
        var mine = Mine();
        var command = new Command("queue", "Acquires that wait, in the order in which each device serves them") { mine };
        selectors.AddTo(command);
        command.SetViewAction(
            parsed => parsed.GetValue(mine),
            async (parsed, view, cancellation) => GlobalOptions.PrinterOf(parsed).Waiting(await view.ListWaitingAsync(selectors.From(parsed), cancellation)));
        return command;
    }

    private static Command Watch()
    {
        var mine = Mine();
        var command = new Command("watch", "What happens to leases and devices from now on, until interrupted") { mine };
        command.SetViewAction(
            parsed => parsed.GetValue(mine),
            static async (parsed, view, cancellation) =>
            {
                var printer = GlobalOptions.PrinterOf(parsed);
                await foreach (var (lease, device) in view.WatchAsync(cancellation))
                {
                    if (lease is not null || device is not null)
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

    /// <param name="isRecall">The grace is not to be forgotten.</param>
    private static Command Revoke(bool isRecall)
    {
        var ids = new Argument<string[]>("lease") { Description = "Ids; or pick leases by the options", HelpName = "LEASE", Arity = ArgumentArity.ZeroOrMore };
        var selectors = new Selectors();
        var grace = Options.Duration("--grace", isRecall ? "Revoke after this what was not released before" : "Recall first, and revoke after this; without it, revoke at once");
        grace.Required = isRecall;
        var comment = new Option<string?>("--comment") { Description = "Why; goes into the lease's end detail", HelpName = "TEXT" };
        var noWait = new Option<bool>("--no-wait") { Description = "Do not wait for the proof that access is over" };
        var command = isRecall
            ? new Command("recall", "Ask for leases back, revoke them after the grace, and wait for the proof (operators)") { ids, grace, comment, noWait }
            : new Command("revoke", "End leases, and wait for the proof (operators)") { ids, grace, comment, noWait };
        selectors.AddTo(command);
        command.Validators.Add(result =>
        {
            bool hasIds = result.GetResult(ids) is { Tokens.Count: > 0 };
            bool hasSelector = result.Children.OfType<System.CommandLine.Parsing.OptionResult>().Any(option => selectors.Contains(option.Option));
            if (hasIds == hasSelector)
            {
                result.AddError("Name the leases to revoke, either by ids or by --device, --uid, --pid or --label.");
            }
        });
        command.SetOperatorAction(async (parsed, connection, cancellation) =>
        {
            var request = new RevokeRequest { Comment = parsed.GetValue(comment) ?? "", NoWait = parsed.GetValue(noWait) };
            request.LeaseIds.Add(parsed.GetValue(ids) ?? []);
            if (request.LeaseIds.Count == 0)
            {
                request.Selector = selectors.From(parsed);
            }

            if (parsed.GetValue(grace) is { } time)
            {
                request.Grace = Duration.FromTimeSpan(time);
            }

            using var call = connection.Service.Revoke(request, cancellationToken: cancellation);
            return await EndedLeases.WriteAsync(GlobalOptions.PrinterOf(parsed), call.ResponseStream, response => response.Lease, cancellation);
        });
        return command;
    }
}
