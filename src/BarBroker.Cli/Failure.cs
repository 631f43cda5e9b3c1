// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Client;
using Grpc.Core;

namespace BarBroker.Cli;

/// <summary>Says what went wrong on stderr, and which exit code that is.</summary>
internal static class Failure
{
    public static int Usage(IEnumerable<string> errors, Command command)
    {
        foreach (string error in errors)
        {
            Say(error);
        }

        string path = string.Join(' ', Names(command).Reverse());
        Console.Error.WriteLine($"Try '{path} --help'.");
        return ExitCode.Usage;
    }

    /// <summary>A remark that is no failure.</summary>
    public static void Say(string message) => Console.Error.WriteLine($"barctl: {Output.Words.Printable(message)}");

    public static int Tell(BrokerException exception)
    {
        Say(exception.Message);
        if (exception is LeaseRefusedException refusal)
        {
            TellDetails(refusal);
        }

        return exception switch
        {
            BrokerUnavailableException { IsAccessDenied: true } => ExitCode.Denied,
            BrokerUnavailableException => ExitCode.Unreachable,
            _ => exception.Code switch
            {
                StatusCode.InvalidArgument => ExitCode.Usage,
                StatusCode.NotFound => ExitCode.NotFound,
                StatusCode.PermissionDenied => ExitCode.Denied,
                _ => ExitCode.Failed,
            },
        };
    }

    private static void TellDetails(LeaseRefusedException refusal)
    {
        string details = string.Join(", ", new[]
        {
            Missing("field", refusal.Field),
            Missing("lease", refusal.LeaseId),
            Missing("device", refusal.Device),
        }.Where(part => part.Length > 0));
        if (details.Length > 0)
        {
            Console.Error.WriteLine($"  ({Output.Words.Printable(details)})");
        }

        string Missing(string name, string value) => value.Length > 0 && !refusal.Message.Contains(value, StringComparison.Ordinal) ? $"{name} {value}" : "";
    }

    private static IEnumerable<string> Names(Command command)
    {
        for (Symbol? symbol = command; symbol is not null; symbol = symbol.Parents.FirstOrDefault())
        {
            yield return symbol is RootCommand ? "barctl" : symbol.Name;
        }
    }
}
