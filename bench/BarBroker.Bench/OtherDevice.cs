// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using BarBroker.Client;
using BarBroker.V1;

namespace BarBroker.Bench;

/// <summary>What leases of a device cost while another one is stuck in a revoke; beside the same while it is not, in turns. The 99th percentile of each turn, and the
/// median over the turns: how far apart the turns of the same are is the noise.</summary>
internal static class OtherDevice
{
    private const int Turns = 11;
    private const int Rounds = 500;
    private const ulong Size = 65536;

    public static async Task<IEnumerable<Figure>> MeasureAsync(string daemon)
    {
        using var broker = new Broker(daemon, hasSecond: true);
        await using var client = await BrokerClient.ConnectAsync(new BrokerClientOptions { RuntimeDirectory = broker.RuntimeDirectory });
        using var channel = Channels.Operator(broker.RuntimeDirectory);
        var operators = new OperatorService.OperatorServiceClient(channel);
        Samples acquire = new(Turns), revoke = new(Turns), freeAcquire = new(Turns), freeRevoke = new(Turns);
        await LiveAsync(client, operators, new Samples(1), new Samples(1));
        for (int turn = 0; turn < Turns; turn++)
        {
            await LiveAsync(client, operators, freeAcquire, freeRevoke);
            await using (var held = await client.AcquireAsync(LeaseRequest.OfSize("sim1", Size)))
            {
                await File.WriteAllTextAsync(broker.Faults, "revoke stuck\n");
                await RevokeAsync(operators, held.Id, LeaseState.Stuck);
                await LiveAsync(client, operators, acquire, revoke);
                await DemandAsync(operators, held.Id, LeaseState.Stuck);
                File.Delete(broker.Faults);
                while ((await operators.GetLeaseAsync(new OperatorGetLeaseRequest { LeaseId = held.Id })).Lease.State != LeaseState.Ended)
                {
                    await Task.Delay(10);
                }
            }
        }

        return
        [
            Figure.Of("other_device_p99.acquire", "µs", acquire, freeAcquire),
            Figure.Of("other_device_p99.revoke", "µs", revoke, freeRevoke),
        ];
    }

    /// <summary>One turn; adds its 99th percentiles.</summary>
    private static async Task LiveAsync(BrokerClient client, OperatorService.OperatorServiceClient operators, Samples acquire, Samples revoke)
    {
        Samples acquires = new(Rounds), revokes = new(Rounds);
        for (int i = 0; i < Rounds; i++)
        {
            long begin = Stopwatch.GetTimestamp();
            await using var lease = await client.AcquireAsync(LeaseRequest.OfSize("sim0", Size));
            acquires.AddSince(begin);
            begin = Stopwatch.GetTimestamp();
            await RevokeAsync(operators, lease.Id, LeaseState.Ended);
            revokes.AddSince(begin);
        }

        acquire.Add(acquires.Quantile(0.99));
        revoke.Add(revokes.Quantile(0.99));
    }

    private static async Task RevokeAsync(OperatorService.OperatorServiceClient operators, string lease, LeaseState expected)
    {
        using var call = operators.Revoke(new RevokeRequest { LeaseIds = { lease } });
        bool answered = await call.ResponseStream.MoveNext(CancellationToken.None);
        if (!answered || call.ResponseStream.Current.Lease.State != expected)
        {
            throw new InvalidOperationException($"lease {lease} is not {expected} after its revoke");
        }
    }

    private static async Task DemandAsync(OperatorService.OperatorServiceClient operators, string lease, LeaseState expected)
    {
        var state = (await operators.GetLeaseAsync(new OperatorGetLeaseRequest { LeaseId = lease })).Lease.State;
        if (state != expected)
        {
            throw new InvalidOperationException($"lease {lease} is {state} and not {expected}: nothing was measured");
        }
    }
}
