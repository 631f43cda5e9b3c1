// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Cli.Output;
using BarBroker.Cli.Parsing;
using BarBroker.Client;

namespace BarBroker.Cli.Commands;

/// <summary>What every command takes.</summary>
internal static class GlobalOptions
{
    public static Option<string?> RuntimeDirectory { get; } = new("--runtime-dir")
    {
        Description = "Where the broker's sockets are [default: $BARBROKER_RUNTIME_DIR, else /run/barbroker]",
        HelpName = "DIR",
        Recursive = true,
    };

    public static Option<OutputFormat> Output { get; } = CreateOutput();

    public static string DirectoryOf(ParseResult parsed) => BrokerPaths.RuntimeDirectory(parsed.GetValue(RuntimeDirectory));

    public static Printer PrinterOf(ParseResult parsed) => new(parsed.GetValue(Output));

    /// <summary>The command's results have no ids that <c>-o name</c> could write: it is refused before anything is done.</summary>
    public static void HasNoNames(Command command) => command.Validators.Add(static result =>
    {
        if (result.GetValue(Output) == OutputFormat.Name)
        {
            result.AddError("-o name is for what has an id: leases, devices, pools, clients and entries of the history.");
        }
    });

    private static Option<OutputFormat> CreateOutput()
    {
        var option = Options.Choice("--output", "How results are written", ["table", "wide", "json", "jsonl", "name"], [OutputFormat.Table, OutputFormat.Wide, OutputFormat.Json, OutputFormat.Jsonl, OutputFormat.Name], "-o");
        option.Recursive = true;
        return option;
    }
}
