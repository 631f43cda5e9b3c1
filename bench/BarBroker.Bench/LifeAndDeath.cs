// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using BarBroker.Client;
using BarBroker.V1;

namespace BarBroker.Bench;

/// <summary>One lease after the other: from the request to the fd in hand, and from the operator's word to the proof, with the buffer mapped.</summary>
internal static class LifeAndDeath
{
    /// <summary>What is asked for and answered without any work: the floor of everything that goes over gRPC.</summary>
    public static async Task<Samples> RoundTripsAsync(Broker broker, int rounds)
    {
        using var channel = Channels.Client(broker);
        var service = new LeaseService.LeaseServiceClient(channel);
        var samples = new Samples(rounds);
        for (int i = 0; i < rounds; i++)
        {
            long begin = Stopwatch.GetTimestamp();
            await service.ListLeasesAsync(new ListLeasesRequest());
            samples.AddSince(begin);
        }

        return samples;
    }

    public static async Task<(Samples Acquire, Samples Revoke)> MeasureAsync(Broker broker, int rounds, ulong size)
    {
        await using var client = await BrokerClient.ConnectAsync(new BrokerClientOptions { RuntimeDirectory = broker.RuntimeDirectory });
        using var channel = Channels.Operator(broker);
        var operators = new OperatorService.OperatorServiceClient(channel);
        var request = LeaseRequest.OfSize("sim0", size);
        var acquire = new Samples(rounds);
        var revoke = new Samples(rounds);
        for (int i = 0; i < rounds; i++)
        {
            long begin = Stopwatch.GetTimestamp();
            await using var lease = await client.AcquireAsync(request);
            acquire.AddSince(begin);

            using var mapping = lease.Buffers[0].Map(writable: true);
            mapping.CopyFrom(0, [1]);
            begin = Stopwatch.GetTimestamp();
            using var call = operators.Revoke(new RevokeRequest { LeaseIds = { lease.Id } });
            bool answered = await call.ResponseStream.MoveNext(CancellationToken.None);
            revoke.AddSince(begin);
            if (!answered || call.ResponseStream.Current.Lease.State != LeaseState.Ended)
            {
                throw new InvalidOperationException($"lease {lease.Id} was not proven to be over");
            }
        }

        return (acquire, revoke);
    }
}
