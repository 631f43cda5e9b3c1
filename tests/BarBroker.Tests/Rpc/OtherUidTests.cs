// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux;
using BarBroker.Tests.Hosting;
using BarBroker.V1;
using Grpc.Core;
using Grpc.Net.Client;

namespace BarBroker.Tests.Rpc;

/// <summary>What one uid may not learn of, or do to, the leases of another. Needs root, to connect as somebody else.</summary>
public sealed class OtherUidTests : BrokerTest
{
    private const uint Stranger = 54321;

    [Fact]
    public async Task EveryCall_LeaseOfAnotherUid_AsIfItWereNotThere()
    {
        Assert.SkipUnless(Users.EffectiveUid == 0, "only root can connect as another uid");
        var lease = await Acquire();
        using var channel = OpenAsStranger();
        var stranger = new LeaseService.LeaseServiceClient(channel);

        await Refused(StatusCode.NotFound, stranger.GetLeaseAsync(new GetLeaseRequest { LeaseId = lease.Id }, cancellationToken: Cancellation));
        await Refused(StatusCode.NotFound, stranger.ReleaseAsync(new ReleaseRequest { LeaseId = lease.Id }, cancellationToken: Cancellation));
        Assert.Empty((await stranger.ListLeasesAsync(new ListLeasesRequest { IncludeEnded = true }, cancellationToken: Cancellation)).Leases);
        using var keepAlive = stranger.KeepAlive(cancellationToken: Cancellation);
        await keepAlive.RequestStream.WriteAsync(new KeepAliveRequest { Heartbeats = { new Heartbeat { LeaseId = lease.Id } } }, Cancellation);
        Assert.Equal(LeaseState.Unspecified, (await Next(keepAlive.ResponseStream, "the answer to a heartbeat")).Results[0].State);

        Assert.Equal(LeaseState.Granted, (await Client.GetLeaseAsync(new GetLeaseRequest { LeaseId = lease.Id }, cancellationToken: Cancellation)).Lease.State);
    }

    [Fact]
    public async Task Watch_LeaseOfAnotherUid_NotTold()
    {
        Assert.SkipUnless(Users.EffectiveUid == 0, "only root can connect as another uid");
        using var channel = OpenAsStranger();
        var stranger = new LeaseService.LeaseServiceClient(channel);
        using var watch = stranger.Watch(new WatchRequest(), cancellationToken: Cancellation);
        await Next(watch.ResponseStream, "the first message");

        await Acquire();
        var own = (await stranger.AcquireAsync(Sized(Page), cancellationToken: Cancellation)).Lease;

        var told = (await Next(watch.ResponseStream, "the stranger's own lease")).Lease;
        Assert.Equal((own.Id, Stranger), (told.Id, told.Owner.Uid));
    }

    private GrpcChannel OpenAsStranger()
    {
        // The stranger keeps root's group, which is the socket's; the directory must let it pass.
        File.SetUnixFileMode(Directory.Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute);
        return SomebodyElse.Open(ClientSocket, Stranger);
    }
}
