// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Cli.Output;

namespace BarBroker.Cli.Manual;

/// <summary>barctl(1), from the commands themselves: man(7) with its oldest macros only.</summary>
internal static class ManualPage
{
    /// <summary>The first argument of a call that prints it; no command, and so in no help. The package's build makes such a call.</summary>
    public const string Marker = "__manual";

    private static readonly (int Code, string Meaning)[] _exitCodes =
    [
        (ExitCode.Done, "Done."),
        (ExitCode.Failed, "Failed, or failed in part: taken, no room, cordoned, the lease was lost."),
        (ExitCode.Usage, "Wrong usage, also where the broker found it."),
        (ExitCode.Unreachable, "No broker answers."),
        (ExitCode.NotFound, "No such lease or device."),
        (ExitCode.Denied, "Not allowed: the socket, or the broker's policy."),
        (ExitCode.Stuck, "Stuck: the end of a lease is decided, and not confirmed."),
    ];

    public static void Write(TextWriter page, RootCommand root)
    {
        page.WriteLine(".TH BARCTL 1 2026-11-25 \"BAR Broker\" \"User Commands\"");
        page.WriteLine(".SH NAME\nbarctl \\- look at leases of PCI BAR ranges, take them, take them back");
        page.WriteLine(".SH SYNOPSIS\n.B barctl\n[\\fIOPTION\\fR]... \\fICOMMAND\\fR");
        page.WriteLine($".SH DESCRIPTION\n{Escape(root.Description ?? "")}\nMost commands need a running\n.BR barbrokerd (8).");
        page.WriteLine(".SH OPTIONS");
        Options(page, root);
        page.WriteLine(".SH COMMANDS");
        foreach (var command in Leaves(root, "barctl"))
        {
            Command(page, command.Path, command.Command);
        }

        page.WriteLine(".SH EXIT STATUS");
        foreach (var (code, meaning) in _exitCodes)
        {
            page.WriteLine($".TP\n.B {code}\n{Escape(meaning)}");
        }

        page.WriteLine(".PP\n.B barctl run\nexits with the status of its command.");
        page.WriteLine(".SH ENVIRONMENT\n.TP\n.B BARBROKER_RUNTIME_DIR\nWhere the broker's sockets are, unless \\fB\\-\\-runtime\\-dir\\fR says so.\n.TP\n.B NO_COLOR\nNo colours, if it is set and not empty.");
        page.WriteLine(".SH FILES\n.TP\n.I /run/barbroker\nThe broker's sockets.\n.TP\n.I /etc/barbroker/broker.json\nThe broker's configuration.");
        page.WriteLine(".SH SEE ALSO\n.BR barbrokerd (8),\n.BR broker.json (5)");
    }

    private static IEnumerable<(string Path, Command Command)> Leaves(Command command, string path) => command.Subcommands.Where(static sub => !sub.Hidden).SelectMany(sub =>
        sub.Subcommands.Count == 0 ? [(Path: $"{path} {sub.Name}", Command: sub)] : Leaves(sub, $"{path} {sub.Name}"));

    private static void Command(TextWriter page, string path, Command command)
    {
        string arguments = string.Concat(command.Arguments.Select(static argument =>
            argument.Arity.MinimumNumberOfValues == 0 ? $" [\\fI{Escape(argument.HelpName ?? argument.Name)}\\fR]" : $" \\fI{Escape(argument.HelpName ?? argument.Name)}\\fR"));
        page.WriteLine($".SS \"{Escape(path)}{arguments}\"\n{Escape(command.Description ?? "")}.");
        foreach (var argument in command.Arguments)
        {
            page.WriteLine($".TP\n.I {Escape(argument.HelpName ?? argument.Name)}\n{Escape(argument.Description ?? "")}.");
        }

        Options(page, command);
    }

    private static void Options(TextWriter page, Command command)
    {
        foreach (var option in command.Options.Where(static option => !option.Hidden))
        {
            string names = string.Join(", ", option.Aliases.Prepend(option.Name).Where(static name => name[0] == '-').Order(StringComparer.Ordinal).Distinct().Select(static name => $"\\fB{Escape(name)}\\fR"));
            string value = option.ValueType == typeof(bool) || option.Arity.MaximumNumberOfValues == 0 ? "" : $" \\fI{Escape(option.HelpName ?? "VALUE")}\\fR";
            page.WriteLine($".TP\n{names}{value}\n{Escape((option.Description ?? "").TrimEnd('.'))}.");
        }
    }

    private static string Escape(string text) => Words.Printable(text).Replace("\\", "\\e", StringComparison.Ordinal).Replace("-", "\\-", StringComparison.Ordinal).Replace("'", "\\(aq", StringComparison.Ordinal);
}
