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

    private static Option<OutputFormat> CreateOutput()
    {
        var option = Options.Choice("--output", "How results are written", ["table", "json", "jsonl"], [OutputFormat.Table, OutputFormat.Json, OutputFormat.Jsonl], "-o");
        option.Recursive = true;
        return option;
    }
}
