// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Cli.Output;
using BarBroker.Cli.Parsing;
using BarBroker.Cli.Running;
using BarBroker.Client;
using LeaseState = BarBroker.V1.LeaseState;

namespace BarBroker.Cli.Commands;

/// <summary>Runs a command that has a lease.</summary>
internal static class RunCommand
{
    private const int SigKill = 9;
    private const int SigTerm = 15;

    public static Command Create()
    {
        var request = new RequestOptions();
        var onLost = Options.Choice("--on-lost", "What the command gets when the lease is lost: SIGTERM and later SIGKILL, SIGKILL, or nothing", ["term", "kill", "ignore"], [OnLost.Term, OnLost.Kill, OnLost.Ignore]);
        var killAfter = Options.Duration("--kill-after", "With --on-lost term: SIGKILL this long after SIGTERM [default: 5s]");
        var words = new Argument<string[]>("command")
        {
            Description = "The command and its arguments, after --",
            HelpName = "COMMAND",
            Arity = ArgumentArity.OneOrMore,
            CaptureRemainingTokens = true,
        };
        var command = new Command("run", "Run a command that inherits the fds of a lease, and keep the lease while it lives") { onLost, killAfter, words };
        request.AddTo(command);
        command.SetGuardedAction(async (parsed, cancellation) =>
        {
            // First of all: a signal that comes now must not end barctl without the command.
            using var signals = new SignalForwarder();
            var options = new BrokerClientOptions { RuntimeDirectory = parsed.GetValue(GlobalOptions.RuntimeDirectory) };
            await using var client = await BrokerClient.ConnectAsync(options, cancellation);
            await using var lease = await client.AcquireAsync(request.From(parsed), cancellation);
            using var child = await ChildProcess.StartAsync(parsed.GetRequiredValue(words), LeaseEnvironment.Of(lease), [.. lease.Buffers.Select(buffer => buffer.File)]);
            signals.ForwardTo(child);
            int status = await WaitAsync(lease, child, parsed.GetValue(onLost), parsed.GetValue(killAfter) ?? TimeSpan.FromSeconds(5));
            await ReleaseAsync(lease);
            return status;
        });
        return command;
    }

    private static async Task<int> WaitAsync(Lease lease, ChildProcess child, OnLost onLost, TimeSpan killAfter)
    {
        lease.Recalled += (_, recalled) => Failure.Say($"lease {lease.Id} is recalled ({Words.Of(recalled.Reason)}{(recalled.Detail.Length > 0 ? $": {recalled.Detail}" : "")}); it is revoked in {recalled.Remaining.TotalSeconds:0.#} s");
        var lost = new TaskCompletionSource<LeaseLostEventArgs>(TaskCreationOptions.RunContinuationsAsynchronously);
        lease.Lost += (_, args) => lost.TrySetResult(args);
        if (await Task.WhenAny(child.Exited, lost.Task) == lost.Task)
        {
            Failure.Say(Losses.Describe(lease, await lost.Task));
            await EndAsync(child, onLost, killAfter);
        }

        return await child.Exited;
    }

    private static async Task EndAsync(ChildProcess child, OnLost onLost, TimeSpan killAfter)
    {
        if (onLost == OnLost.Ignore)
        {
            return;
        }

        if (onLost == OnLost.Term)
        {
            child.Signal(SigTerm);
            await Task.WhenAny(child.Exited, Task.Delay(killAfter));
        }

        if (!child.Exited.IsCompleted)
        {
            child.Signal(SigKill);
        }
    }

    private static async Task ReleaseAsync(Lease lease)
    {
        try
        {
            using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(5));
            if (await lease.ReleaseAsync(timeout.Token) == LeaseState.Stuck)
            {
                Failure.Say($"lease {lease.Id} is released, but the device does not confirm that access is over; its range is quarantined");
            }
        }
        catch (Exception exception) when (exception is BrokerException or OperationCanceledException)
        {
            Failure.Say($"lease {lease.Id} ends with barctl; the broker could not be told: {exception.Message}");
        }
    }
}
