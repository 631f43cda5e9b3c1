// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Cli.Output;
using BarBroker.Cli.Parsing;
using BarBroker.Cli.Running;
using BarBroker.V1;
using Google.Protobuf.WellKnownTypes;

namespace BarBroker.Cli.Commands;

/// <summary>`lease revoke` and `lease recall`: the same, but that the grace of a recall is not to be forgotten.</summary>
internal sealed class RevokeCommand
{
    private readonly bool _isRecall;
    private readonly Argument<string[]> _ids = new("lease") { Description = "Ids; or pick leases by the options", HelpName = "LEASE", Arity = ArgumentArity.ZeroOrMore };
    private readonly Selectors _selectors = new();
    private readonly Option<TimeSpan?> _grace;
    private readonly Option<string?> _comment = new("--comment") { Description = "Why; goes into the lease's end detail", HelpName = "TEXT" };
    private readonly Option<bool> _noWait = new("--no-wait") { Description = "Do not wait for the proof that access is over" };
    private readonly Option<bool> _yes = Confirmation.Yes();
    private readonly Option<bool> _dryRun = Confirmation.DryRun();

    private RevokeCommand(bool isRecall)
    {
        _isRecall = isRecall;
        _grace = Options.Duration("--grace", isRecall ? "Revoke after this what was not released before" : "Recall first, and revoke after this; without it, revoke at once");
        _grace.Required = isRecall;
    }

    public static Command Create(bool isRecall)
    {
        var revoke = new RevokeCommand(isRecall);
        var command = isRecall
            ? new Command("recall", "Ask for leases back, revoke them after the grace, and wait for the proof (operators)")
            : new Command("revoke", "End leases, and wait for the proof (operators)");
        command.Add(revoke._ids);
        command.Add(revoke._grace);
        command.Add(revoke._comment);
        command.Add(revoke._noWait);
        command.Add(revoke._yes);
        command.Add(revoke._dryRun);
        revoke._selectors.AddTo(command);
        command.Validators.Add(result =>
        {
            bool hasIds = result.GetResult(revoke._ids) is { Tokens.Count: > 0 };
            bool hasSelector = result.Children.OfType<System.CommandLine.Parsing.OptionResult>().Any(option => revoke._selectors.Contains(option.Option));
            if (hasIds == hasSelector)
            {
                result.AddError("Name the leases to revoke, either by ids or by --device, --uid, --pid, --label or --state.");
            }
        });
        command.SetOperatorAction(revoke.RunAsync);
        return command;
    }

    private async Task<int> RunAsync(ParseResult parsed, OperatorConnection connection, CancellationToken cancellation)
    {
        var request = new RevokeRequest { Comment = parsed.GetValue(_comment) ?? "", NoWait = parsed.GetValue(_noWait) };
        request.LeaseIds.Add((parsed.GetValue(_ids) ?? []).Distinct());
        if (request.LeaseIds.Count == 0)
        {
            request.Selector = _selectors.From(parsed);
        }

        if (parsed.GetValue(_grace) is { } time)
        {
            request.Grace = Duration.FromTimeSpan(time);
        }

        var printer = GlobalOptions.PrinterOf(parsed);
        if (parsed.GetValue(_dryRun))
        {
            var plan = await PlanAsync(request, connection, cancellation);
            printer.Leases(plan);
            Failure.Say($"nothing was done; {Words.Leases(plan.Count)} would be {(_isRecall ? "recalled" : "revoked")}.");
            return ExitCode.Done;
        }

        if (!parsed.GetValue(_yes) && request.LeaseIds.Count != 1)
        {
            var plan = await PlanAsync(request, connection, cancellation);
            if (Confirmation.Refusal(plan, _isRecall ? "Recall them?" : "Revoke them?") is { } refusal)
            {
                return refusal;
            }

            if (request.Selector is not null)
            {
                if (plan.Count == 0)
                {
                    Failure.Say("no lease is meant by that; nothing was done.");
                    return ExitCode.Done;
                }

                // Those that were shown, and none that came since.
                request.Selector = null;
                request.LeaseIds.Add(plan.Select(static lease => lease.Id));
            }
        }

        return await EndAsync(request, connection, printer);
    }

    /// <summary>The leases that would end.</summary>
    private static async Task<IReadOnlyList<Lease>> PlanAsync(RevokeRequest request, OperatorConnection connection, CancellationToken cancellation)
    {
        if (request.Selector is { } selector)
        {
            return (await connection.Service.ListLeasesAsync(new OperatorListLeasesRequest { Selector = selector }, cancellationToken: cancellation)).Leases;
        }

        var found = new List<Lease>();
        foreach (string id in request.LeaseIds)
        {
            found.Add((await connection.Service.GetLeaseAsync(new OperatorGetLeaseRequest { LeaseId = id }, cancellationToken: cancellation)).Lease);
        }

        return [.. found.Where(static lease => lease.State != LeaseState.Ended)];
    }

    private async Task<int> EndAsync(RevokeRequest request, OperatorConnection connection, Printer printer)
    {
        using var signals = new StopSignals();
        using var call = connection.Service.Revoke(request, cancellationToken: signals.Token);
        var endings = new Endings(printer, signals);
        var progress = new EndingProgress { Total = (uint)request.LeaseIds.Count };
        string title = _isRecall ? "recall" : "revoke";
        if (!await endings.WatchAsync(title, call.ResponseStream, response => (response.Lease, Add(progress, response.Lease.State))))
        {
            Failure.Say(endings.Progress is null
                ? $"whether the {title} had begun is not known; 'barctl lease list' tells."
                : $"the {title} goes on; {Words.Leases(progress.Ended + progress.Stuck)} were through with it, 'barctl lease list' tells of the others.");
            return ExitCode.Signal + signals.Signal;
        }

        return progress.Stuck > 0 ? ExitCode.Stuck : ExitCode.Done;
    }

    /// <summary>By selector the broker alone knows how many there are.</summary>
    private static EndingProgress Add(EndingProgress progress, LeaseState state)
    {
        progress.Stuck += state == LeaseState.Stuck ? 1u : 0;
        progress.Ended += state == LeaseState.Stuck ? 0u : 1;
        progress.Total = Math.Max(progress.Total, progress.Ended + progress.Stuck);
        progress.Remaining = progress.Total - progress.Ended - progress.Stuck;
        return progress;
    }
}
