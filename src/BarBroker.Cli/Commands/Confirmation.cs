// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Cli.Output;
using BarBroker.V1;

namespace BarBroker.Cli.Commands;

/// <summary>A question before something that many would feel. Where nobody can be asked nothing is done without --yes.</summary>
internal static class Confirmation
{
    private const int MaxShown = 20;

    public static Option<bool> Yes() => new("--yes", "-y") { Description = "Do not ask; for scripts" };

    public static Option<bool> DryRun() => new("--dry-run") { Description = "Change nothing; show what it would do" };

    /// <summary>Null if it may be done: at most one lease ends by it, or somebody says yes. Else the exit code.</summary>
    /// <param name="question">Such as: Revoke them?</param>
    public static int? Refusal(IReadOnlyList<Lease> leases, string question) =>
        leases.Count <= 1 ? null : Refusal([$"{leases.Count} leases end by it:", .. leases.Take(MaxShown).Select(LeaseDocument.From).Select(Tables.PlanLine), .. More(leases.Count)], question);

    /// <summary>Null if somebody says yes; else the exit code.</summary>
    /// <param name="plan">What it would do, for people.</param>
    public static int? Refusal(IEnumerable<string> plan, string question)
    {
        foreach (string line in plan)
        {
            Console.Error.WriteLine(Words.Printable(line));
        }

        if (Console.IsInputRedirected || Console.IsErrorRedirected)
        {
            Failure.Say("nothing was done, since nobody can be asked here; with --yes it is done without a question.");
            return ExitCode.Usage;
        }

        Console.Error.Write($"{Words.Printable(question)} [y/N] ");
        if (Console.ReadLine()?.Trim() is "y" or "Y" or "yes")
        {
            return null;
        }

        Failure.Say("nothing was done.");
        return ExitCode.Failed;
    }

    private static string[] More(int count) => count > MaxShown ? [$"  and {count - MaxShown} more"] : [];
}
