// SPDX-License-Identifier: Apache-2.0

using BarBroker.Cli.Output;
using BarBroker.Cli.Running;
using BarBroker.V1;
using Grpc.Core;

namespace BarBroker.Cli.Commands;

/// <summary>Watches leases come to their end. It is the broker that ends them: going away stops nothing.</summary>
internal sealed class Endings(Printer printer, StopSignals signals)
{
    /// <summary>As of the last answer; null before the first.</summary>
    public EndingProgress? Progress { get; private set; }

    /// <param name="title">What they are of, or what is done to them.</param>
    /// <returns>False: somebody interrupted it.</returns>
    public async Task<bool> WatchAsync<T>(string title, IAsyncStreamReader<T> stream, Func<T, (Lease? Lease, EndingProgress Progress)> endingOf)
    {
        try
        {
            await printer.EndingAsync(title, EndingsAsync());
            return true;
        }
        catch (Exception exception) when (signals.Signal != 0 && exception is OperationCanceledException or RpcException { StatusCode: StatusCode.Cancelled })
        {
            return false;
        }
        finally
        {
            printer.Flush();
        }

        async IAsyncEnumerable<(Lease? Lease, EndingProgress Progress)> EndingsAsync()
        {
            await foreach (var response in stream.ReadAllAsync(signals.Token))
            {
                var ending = endingOf(response);
                Progress = ending.Progress;
                yield return ending;
            }
        }
    }
}
