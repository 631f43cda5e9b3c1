// SPDX-License-Identifier: Apache-2.0

using BarBroker.Testing;
using BarBroker.V1;
using Grpc.Core;

namespace BarBroker.Client.Tests;

/// <summary>The fd connection breaks, and the client hears of its leases all the same.</summary>
public sealed class FollowTests(BrokerFixture fixture) : ClientTestBase, IClassFixture<BrokerFixture>
{
    /// <summary>No heartbeat, and no question, comes within any test.</summary>
    private static readonly TimeSpan _long = TimeSpan.FromHours(1);

    private static readonly LeaseRequest _page = LeaseRequest.OfSize("sim0", 4096) with { Ttl = _long };

    [Fact]
    public async Task ConnectionBreaks_RecalledAfterwards_IsToldByANoticeAndAcknowledgedThere()
    {
        var relay = Own(new FdRelay(fixture.Broker));
        var client = await ConnectAsync(relay);
        await using var lease = await client.AcquireAsync(_page, Cancellation);
        var recalled = RecallOf(lease);

        relay.Break();
        await FollowedAsync(relay, lease);
        int notices = Notices(relay, lease);
        await RevokeAsync(fixture.Broker, lease, TimeSpan.FromMinutes(5), wait: false);

        var recall = await Wait.For(recalled, "Recalled is raised");
        Assert.Equal((EndReason.Operator, notices + 1), (recall.Reason, Notices(relay, lease)));
        recall.Acknowledge();
        await Wait.Until(async () => (await LookAsync(lease)).RecallAcknowledged, "the recall is acknowledged");
        Assert.Equal([lease.Id], relay.Requests.Where(static request => request.Acknowledge is not null).Select(static request => request.Acknowledge.LeaseId));
        Assert.Equal(2, relay.Connections);
    }

    [Fact]
    public async Task ConnectionBreaks_RevokedMeanwhile_IsToldByANotice()
    {
        var relay = Own(new FdRelay(fixture.Broker));
        var client = await ConnectAsync(relay);
        await using var lease = await client.AcquireAsync(_page, Cancellation);
        await using var other = await client.AcquireAsync(_page, Cancellation);
        var lost = LossOf(lease);

        relay.Break();
        await RevokeAsync(fixture.Broker, lease);

        Assert.Equal(EndReason.Operator, (await Wait.For(lost, "Lost is raised")).Reason);
        await FollowedAsync(relay, other);
        Assert.False(other.LostToken.IsCancellationRequested);
    }

    [Fact]
    public async Task ConnectionBreaks_FollowedAgain_NoLeaseIsAskedFor()
    {
        var broker = Own(await BrokerProcess.StartAsync(BrokerProcess.OneDevice.Replace("\"enabled\": false", "\"enabled\": true, \"address\": \"127.0.0.1:0\"", StringComparison.Ordinal)));
        var relay = Own(new FdRelay(broker));
        var client = await ConnectAsync(relay);
        var leases = new List<Lease>();
        for (int i = 0; i < 100; i++)
        {
            leases.Add(await client.AcquireAsync(_page, Cancellation));
        }

        relay.Break();
        await FollowedAsync(relay, leases[^1]);

        using var http = new HttpClient();
        var status = await Operator(broker).GetStatusAsync(new GetStatusRequest(), cancellationToken: Cancellation);
        string scrape = await http.GetStringAsync(new Uri(status.MetricsUrl), Cancellation);
        Assert.Contains("OperatorService/GetStatus", scrape, StringComparison.Ordinal);
        Assert.DoesNotContain("LeaseService/GetLease", scrape, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ConnectionBreaks_ManyLeases_AllAreFollowed()
    {
        var relay = Own(new FdRelay(fixture.Broker));
        var client = await ConnectAsync(relay);
        var leases = new List<Lease>();
        // More than one request has; 1 MiB has as many pages.
        for (int i = 0; i < 256; i++)
        {
            leases.Add(await client.AcquireAsync(_page, Cancellation));
        }

        leases.Add(await client.AcquireAsync(LeaseRequest.OfSize("sim0", 4096, bar: 2) with { Ttl = _long }, Cancellation));
        relay.Break();

        foreach (var lease in leases)
        {
            await FollowedAsync(relay, lease);
        }

        Assert.Equal([1, 256], relay.Requests.Where(static request => request.Follow is not null).Select(static request => request.Follow.LeaseIds.Count).Order());
        await using var another = await client.AcquireAsync(LeaseRequest.OfSize("sim0", 4096, bar: 2), Cancellation);
        await client.DisposeAsync();
    }

    [Fact]
    public async Task ConnectionBreaksAgainAndAgain_IsMadeAnewEachTime()
    {
        var relay = Own(new FdRelay(fixture.Broker));
        var client = await ConnectAsync(relay);
        await using var lease = await client.AcquireAsync(_page, Cancellation);
        for (int i = 1; i <= 3; i++)
        {
            relay.Break();
            await Wait.Until(() => relay.Responses.Count(static response => response.Followed is not null) >= i, "the lease is followed");
        }

        var lost = LossOf(lease);
        await RevokeAsync(fixture.Broker, lease);

        await Wait.For(lost, "Lost is raised");
    }

    [Fact]
    public async Task ConnectionBreaks_BrokerDoesNotKnowTheRequest_LeasesAreAskedForAndAcquiresWork()
    {
        var relay = Own(new FdRelay(fixture.Broker));
        relay.Refuse = static request => request.Follow is null
            ? null
            : new FdResponse { Error = new FdError { Code = (uint)StatusCode.InvalidArgument, Message = "no request that this broker knows", Closing = true } };
        var client = await ConnectAsync(relay);
        await using var lease = await client.AcquireAsync(_page with { Ttl = TimeSpan.FromSeconds(3), KeepAlive = KeepAliveMode.WhileProcessLives }, Cancellation);

        relay.Break();
        await Wait.Until(() => relay.Requests.Count(static request => request.Follow is not null) == 3, "it is tried three times");
        await using var another = await client.AcquireAsync(_page, Cancellation);
        var lost = LossOf(lease);
        await RevokeAsync(fixture.Broker, lease);

        Assert.Equal(EndReason.Operator, (await Wait.For(lost, "Lost is raised")).Reason);
        // The connection of the last acquire stays.
        Assert.Equal((5, 3), (relay.Connections, relay.Requests.Count(static request => request.Follow is not null)));
    }

    [Fact]
    public async Task ConnectionBreaks_NoLeases_IsNotMadeAnew()
    {
        var relay = Own(new FdRelay(fixture.Broker));
        var client = await ConnectAsync(relay);
        await (await client.AcquireAsync(_page, Cancellation)).DisposeAsync();

        relay.Break();
        await using var lease = await client.AcquireAsync(_page, Cancellation);

        Assert.Equal(2, relay.Connections);
        Assert.DoesNotContain(relay.Requests, static request => request.Follow is not null);
    }

    private static Task<LeaseRecalledEventArgs> RecallOf(Lease lease)
    {
        var recalled = new TaskCompletionSource<LeaseRecalledEventArgs>();
        lease.Recalled += (_, recall) => recalled.SetResult(recall);
        return recalled.Task;
    }

    private static Task<LeaseLostEventArgs> LossOf(Lease lease)
    {
        var lost = new TaskCompletionSource<LeaseLostEventArgs>();
        lease.Lost += (_, args) => lost.SetResult(args);
        return lost.Task;
    }

    private static int Notices(FdRelay relay, Lease lease) => relay.Responses.Count(response => response.Notice?.Lease.Id == lease.Id);

    /// <summary>The broker has answered, one request after the other.</summary>
    private static Task FollowedAsync(FdRelay relay, Lease lease) => Wait.Until(
        () => relay.Requests.Where(static request => request.Follow is not null).TakeWhile(request => !request.Follow.LeaseIds.Contains(lease.Id)).Count() < relay.Responses.Count(static response => response.Followed is not null),
        $"{lease} is followed");

    private async Task<BrokerClient> ConnectAsync(FdRelay relay) => Own(await BrokerClient.ConnectAsync(new BrokerClientOptions { RuntimeDirectory = relay.RuntimeDirectory }, Cancellation));

    private async Task<V1.Lease> LookAsync(Lease lease) =>
        (await Operator(fixture.Broker).GetLeaseAsync(new OperatorGetLeaseRequest { LeaseId = lease.Id }, cancellationToken: Cancellation)).Lease;
}
