// SPDX-License-Identifier: Apache-2.0

using BarBroker.Testing;
using BarBroker.V1;
using Grpc.Core;

namespace BarBroker.Client.Tests;

/// <summary>A client and an operator of one broker.</summary>
public abstract class ClientTestBase : TestBase
{
    private protected async Task<BrokerClient> ConnectAsync(BrokerProcess broker) =>
        Own(await BrokerClient.ConnectAsync(new BrokerClientOptions { RuntimeDirectory = broker.RuntimeDirectory }, Cancellation));

    private protected OperatorService.OperatorServiceClient Operator(BrokerProcess broker) =>
        new(Own(BrokerChannel.Open(BrokerPaths.OperatorSocket(broker.RuntimeDirectory))));

    private protected async Task<V1.Lease> RevokeAsync(BrokerProcess broker, Lease lease, TimeSpan? grace = null, bool wait = true)
    {
        var request = new RevokeRequest { LeaseIds = { lease.Id }, NoWait = !wait, Comment = "a test" };
        if (grace is { } time)
        {
            request.Grace = Google.Protobuf.WellKnownTypes.Duration.FromTimeSpan(time);
        }

        using var call = Operator(broker).Revoke(request, cancellationToken: Cancellation);
        V1.Lease? last = null;
        await foreach (var response in call.ResponseStream.ReadAllAsync(Cancellation))
        {
            last = response.Lease;
        }

        return last!;
    }
}
