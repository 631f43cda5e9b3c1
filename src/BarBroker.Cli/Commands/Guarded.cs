// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Cli.Output;
using BarBroker.Client;
using Grpc.Core;

namespace BarBroker.Cli.Commands;

/// <summary>Runs what a command does, and turns what fails into a message and an exit code.</summary>
internal static class Guarded
{
    public static void SetGuardedAction(this Command command, Func<ParseResult, CancellationToken, Task<int>> action) =>
        command.SetAction(async (parsed, cancellation) =>
        {
            try
            {
                return await action(parsed, cancellation);
            }
            catch (RpcException exception)
            {
                // View and OperatorConnection name their socket themselves; what is left calls the clients'.
                return Failure.Tell(Failures.Translate(exception, BrokerPaths.ClientSocket(GlobalOptions.DirectoryOf(parsed))));
            }
            catch (BrokerException exception)
            {
                return Failure.Tell(exception);
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                Failure.Say("the broker broke the call off; is it shutting down?");
                return ExitCode.Unreachable;
            }
        });

    /// <summary>As above, for commands that look, by whatever socket may be opened.</summary>
    public static void SetViewAction(this Command command, Func<ParseResult, bool> mine, Func<ParseResult, View, CancellationToken, Task> action) =>
        command.SetGuardedAction(async (parsed, cancellation) =>
        {
            using var view = await View.OpenAsync(parsed, mine(parsed), cancellation);
            try
            {
                await action(parsed, view, cancellation);
                return ExitCode.Done;
            }
            catch (RpcException exception)
            {
                throw Failures.Translate(exception, view.SocketPath);
            }
        });

    /// <summary>As above, for lists, which --watch shows again and again.</summary>
    public static void SetListAction(this Command command, Func<ParseResult, bool> mine, Func<ParseResult, View, Printer, CancellationToken, Task> show)
    {
        var repeating = new Repeating();
        repeating.AddTo(command);
        command.SetGuardedAction(async (parsed, cancellation) =>
        {
            using var view = await View.OpenAsync(parsed, mine(parsed), cancellation);
            try
            {
                if (repeating.IsAsked(parsed))
                {
                    return await repeating.RunAsync(parsed, (printer, stop) => show(parsed, view, printer, stop));
                }

                await show(parsed, view, GlobalOptions.PrinterOf(parsed), cancellation);
                return ExitCode.Done;
            }
            catch (RpcException exception)
            {
                throw Failures.Translate(exception, view.SocketPath);
            }
        });
    }

    /// <summary>As above, for commands of operators.</summary>
    public static void SetOperatorAction(this Command command, Func<ParseResult, OperatorConnection, CancellationToken, Task<int>> action) =>
        command.SetGuardedAction(async (parsed, cancellation) =>
        {
            using var connection = await OperatorConnection.OpenAsync(GlobalOptions.DirectoryOf(parsed), cancellation);
            try
            {
                return await action(parsed, connection, cancellation);
            }
            catch (RpcException exception)
            {
                throw Failures.Translate(exception, connection.SocketPath);
            }
        });
}
