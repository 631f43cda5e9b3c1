// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Cli.Output;
using BarBroker.Cli.Parsing;
using BarBroker.V1;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Enum = System.Enum;

namespace BarBroker.Cli.Commands;

internal static class HistoryCommand
{
    private const uint DefaultLimit = 100;

    private static readonly Dictionary<string, HistoryKind> _kinds = Enum.GetValues<HistoryKind>().Where(kind => kind != HistoryKind.Unspecified).ToDictionary(Words.Of);

    public static Command Create()
    {
        var selectors = new Selectors(hasStates: false);
        var lease = new Option<string?>("--lease", "-l") { Description = "What happened to this lease", HelpName = "LEASE" };
        var kinds = Kinds();
        var since = Options.Moment("--since", "What happened since then: a time such as 2026-01-31T12:00, or so long ago: 1h");
        var until = Options.Moment("--until", "What happened before then");
        var limit = new Option<uint>("--limit", "-n") { Description = "Only the last ones; 0 for all", HelpName = "N", DefaultValueFactory = _ => DefaultLimit };
        var newestFirst = new Option<bool>("--newest-first") { Description = "The last one first" };
        var command = new Command("history", "What the broker remembers: grants, ends and recalls, refusals, what operators did (operators)") { lease, kinds, since, until, limit, newestFirst };
        selectors.AddTo(command);
        command.SetOperatorAction(async (parsed, connection, cancellation) =>
        {
            var request = Request(selectors.From(parsed));
            request.LeaseId = parsed.GetValue(lease) ?? "";
            request.Kinds.Add(parsed.GetValue(kinds) ?? []);
            request.Since = ToTimestamp(parsed.GetValue(since));
            request.Until = ToTimestamp(parsed.GetValue(until));
            request.Limit = parsed.GetValue(limit);
            request.NewestFirst = parsed.GetValue(newestFirst);
            using var call = connection.Service.History(request, cancellationToken: cancellation);
            await GlobalOptions.PrinterOf(parsed).HistoryAsync(call.ResponseStream.ReadAllAsync(cancellation));
            return ExitCode.Done;
        });
        return command;
    }

    private static HistoryRequest Request(LeaseSelector selector)
    {
        var request = new HistoryRequest { Device = selector.Device, Labels = { selector.Labels } };
        if (selector.HasUid)
        {
            request.Uid = selector.Uid;
        }

        if (selector.HasPid)
        {
            request.Pid = selector.Pid;
        }

        return request;
    }

    private static Timestamp? ToTimestamp(DateTimeOffset? time) => time is { } moment ? Timestamp.FromDateTimeOffset(moment) : null;

    private static Option<HistoryKind[]> Kinds() => new("--kind", "-k")
    {
        Description = $"Only of this kind; may be repeated: {string.Join(", ", _kinds.Keys)}",
        HelpName = "KIND",
        Arity = ArgumentArity.OneOrMore,
        CustomParser = result =>
        {
            foreach (var token in result.Tokens.Where(token => !_kinds.ContainsKey(token.Value)))
            {
                result.AddError($"'{token.Value}' is not what --kind takes: one of {string.Join(", ", _kinds.Keys)}.");
            }

            return [.. result.Tokens.Select(token => _kinds.GetValueOrDefault(token.Value))];
        },
    };
}
