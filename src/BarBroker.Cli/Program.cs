// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using System.CommandLine.Invocation;
using BarBroker.Cli;
using BarBroker.Cli.Commands;
using BarBroker.Cli.Completing;
using BarBroker.Cli.Manual;
using BarBroker.Cli.Running;
using BarBroker.Cli.Tracing;

if (args is [ExecStub.Marker, ..])
{
    return ExecStub.Run(args.AsSpan(1));
}

if (args is [Completer.Marker, ..])
{
    return await Completer.RunAsync(args[1..]);
}

if (args is [ManualPage.Marker])
{
    ManualPage.Write(Console.Out, BarctlCommand.Create());
    return ExitCode.Done;
}

// No response files: an argument of the command that `run` starts may begin with an @.
var parsed = BarctlCommand.Create().Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null });
if (parsed.Action is ParseErrorAction)
{
    return Failure.Usage(parsed.Errors.Select(error => error.Message), parsed.CommandResult.Command);
}

using var trace = CommandTrace.Begin(parsed.CommandResult);

// Each command that lives long handles signals itself; the others end by them.
int exitCode = await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
trace?.Ended(exitCode);
return exitCode;
