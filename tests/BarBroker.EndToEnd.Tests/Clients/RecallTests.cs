// SPDX-License-Identifier: Apache-2.0

using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Testing;
using BarBroker.V1;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace BarBroker.EndToEnd.Tests.Clients;

/// <summary>Recalls as clients hear of them, on both sockets, and what each makes of it.</summary>
public sealed class RecallTests : ClientsTestBase
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    [Fact]
    public async Task Recall_IgnoredAcknowledgedOrObeyed_EndsAtTheDeadlineOrBefore()
    {
        await StartAsync(OneDevice());
        var (ignores, ignored) = await WorkAsync();
        var (acknowledges, acknowledged) = await WorkAsync("recall=acknowledge");
        var (obeys, released) = await WorkAsync("recall=release");
        var raw = await HoldAsync(await Processes.StartAsync("raw"), Pages(1));
        using var client = RpcClient.Dial(Broker.ClientSocket);
        using var watch = client.Leases.Watch(new WatchRequest(), cancellationToken: Cancellation);
        Assert.True(await watch.ResponseStream.MoveNext(Cancellation));

        using (var call = ForOperator.Operator.Revoke(
            new RevokeRequest { LeaseIds = { ignored, acknowledged, released, raw.Lease.Id }, Grace = Duration.FromTimeSpan(Grace), Comment = "upgrade", NoWait = true }, cancellationToken: Cancellation))
        {
            Assert.Equal(4, await call.ResponseStream.ReadAllAsync(Cancellation).CountAsync(cancellationToken: Cancellation));
        }

        // On the fd socket, with reason and deadline.
        await ignores.LineAsync("recalled Operator ");
        Assert.EndsWith(": upgrade", await acknowledges.LineAsync("recalled Operator "), StringComparison.Ordinal);
        await Wait.Until(() => raw.Process.Notices.Any(lease => lease is { State: LeaseState.Recalled, RecallReason: EndReason.Operator, RecallRemaining.Seconds: > 0 }), "the client without the library is told", Patience.Long);
        await raw.Process.AskAsync($"tell {Broker.FdSocket} {Convert.ToHexStringLower(new FdRequest { Acknowledge = new AcknowledgeRequest { LeaseId = raw.Lease.Id } }.ToByteArray())}");

        // Released early, of its own accord; the others at the deadline.
        Assert.Equal(EndReason.Released, (await EndOfAsync(released)).EndReason);
        Assert.Equal(0, await obeys.WaitAsync(Patience.Long));
        Lease[] ends = [await EndOfAsync(ignored), await EndOfAsync(acknowledged), await EndOfAsync(raw.Lease.Id)];
        Assert.All(ends, lease => Assert.Equal(EndReason.Operator, lease.EndReason));
        Assert.Equal([false, true, true], ends.Select(lease => lease.RecallAcknowledged));
        await ignores.LineAsync("lost Operator");
        await acknowledges.LineAsync("lost Operator");

        // The stream told of it, too.
        var recalled = new HashSet<string>();
        while (recalled.Count < 4)
        {
            Assert.True(await Wait.For(watch.ResponseStream.MoveNext(Cancellation), "the stream tells of four recalls", Patience.Long));
            if (watch.ResponseStream.Current.Lease is { State: LeaseState.Recalled, RecallAcknowledged: false, RecallReason: EndReason.Operator, RecallRemaining.Seconds: > 0 } lease)
            {
                recalled.Add(lease.Id);
            }
        }

        Assert.Empty(Broker.Errors);
    }
}
