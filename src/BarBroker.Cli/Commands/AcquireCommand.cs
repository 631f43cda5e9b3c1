// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Cli.Output;
using BarBroker.Cli.Parsing;
using BarBroker.Cli.Running;
using BarBroker.Client;
using BarBroker.V1;

namespace BarBroker.Cli.Commands;

/// <summary>Takes a lease and holds it: to keep ranges from others, or to try things out.</summary>
internal static class AcquireCommand
{
    public static Command Create()
    {
        var request = new RequestOptions();
        var hold = Options.Duration("--hold", "Release it after this; without it, when interrupted");
        var command = new Command("acquire", "Take a lease and hold it until interrupted") { hold };
        request.AddTo(command);
        command.SetGuardedAction(async (parsed, _) =>
        {
            using var stop = new StopSignals();
            try
            {
                return await HoldAsync(parsed, request.From(parsed), parsed.GetValue(hold) ?? Timeout.InfiniteTimeSpan, stop.Token);
            }
            catch (OperationCanceledException) when (stop.Token.IsCancellationRequested)
            {
                return ExitCode.Signal + stop.Signal;
            }
        });
        return command;
    }

    private static async Task<int> HoldAsync(ParseResult parsed, LeaseRequest request, TimeSpan hold, CancellationToken stop)
    {
        var options = new BrokerClientOptions { RuntimeDirectory = parsed.GetValue(GlobalOptions.RuntimeDirectory) };
        await using var client = await BrokerClient.ConnectAsync(options, stop);
        await using var lease = await client.AcquireAsync(request, stop);
        var message = await client.Service.GetLeaseAsync(new GetLeaseRequest { LeaseId = lease.Id }, cancellationToken: stop);
        GlobalOptions.PrinterOf(parsed).Lease(message.Lease);
        Failure.Say($"holding lease {lease.Id}; it is released {(hold == Timeout.InfiniteTimeSpan ? "by Ctrl-C or SIGTERM" : $"after {hold.TotalSeconds:0.###} s, or by Ctrl-C or SIGTERM")}");
        lease.Recalled += (_, recalled) => Failure.Say($"lease {lease.Id} is recalled ({Words.Of(recalled.Reason)}{(recalled.Detail.Length > 0 ? $": {recalled.Detail}" : "")}); it is revoked in {recalled.Remaining.TotalSeconds:0.#} s");
        var lost = new TaskCompletionSource<LeaseLostEventArgs>(TaskCreationOptions.RunContinuationsAsynchronously);
        lease.Lost += (_, args) => lost.TrySetResult(args);

        await Task.WhenAny(lost.Task, Task.Delay(hold, stop));
        if (lost.Task.IsCompletedSuccessfully)
        {
            var args = await lost.Task;
            Failure.Say(Losses.Describe(lease, args));
            return ExitCode.Failed;
        }

        if (await lease.ReleaseAsync(CancellationToken.None) == LeaseState.Stuck)
        {
            Failure.Say($"lease {lease.Id} is released, but the device does not confirm that access is over; its range is quarantined");
            return ExitCode.Stuck;
        }

        return ExitCode.Done;
    }
}
