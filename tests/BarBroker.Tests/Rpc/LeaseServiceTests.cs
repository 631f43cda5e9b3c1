// SPDX-License-Identifier: Apache-2.0

using BarBroker.Testing;
using BarBroker.Tests.Hosting;
using BarBroker.V1;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace BarBroker.Tests.Rpc;

public sealed class LeaseServiceTests : BrokerTest
{
    protected override string More => """ "limits": { "leasesPerUid": 20 }, "leases": { "ticketTtl": "10m" }, """;

    [Fact]
    public async Task ListDevices_Simulated_TellsBarsAndState()
    {
        var device = Assert.Single((await Client.ListDevicesAsync(new(), cancellationToken: Cancellation)).Devices);

        Assert.Equal(("sim0", "simulated", DeviceState.Ready, RevocationDomain.Selective), (device.Name, device.Kind, device.State, device.RevocationDomain));
        Assert.Equal([(0u, 1ul << 20), (2u, 64ul << 10)], device.Bars.Select(bar => (bar.Index, bar.Size)));
    }

    [Fact]
    public async Task Acquire_TwoRangesOutOfOrder_LeaseAndTicketAsAsked()
    {
        var request = Ranged((0x8000, 0x2000), (0, 0x1000));
        request.Labels.Add("app", "test");
        request.Ttl = Duration.FromTimeSpan(TimeSpan.FromMilliseconds(1));

        var response = await Client.AcquireAsync(request, cancellationToken: Cancellation);

        var lease = response.Lease;
        Assert.Equal(16, response.Ticket.Length);
        Assert.Equal(TimeSpan.FromMinutes(10), response.TicketTtl.ToTimeSpan());
        Assert.Equal([(0x8000ul, 0x2000ul), (0ul, 0x1000ul)], lease.Buffers[0].Ranges.Select(range => (range.Offset, range.Length)));
        Assert.Equal(0x3000ul, lease.Buffers[0].Size);
        Assert.Equal((Environment.ProcessId, Linux.Users.EffectiveUid), (lease.Owner.Pid, lease.Owner.Uid));
        Assert.Equal("test", lease.Labels["app"]);
        Assert.Equal(TimeSpan.FromSeconds(1), lease.Ttl.ToTimeSpan());
    }

    [Fact]
    public async Task Acquire_RangeTaken_ResourceExhaustedNamesLeaseInTheWay()
    {
        var first = (await Client.AcquireAsync(Ranged((0, Page)), cancellationToken: Cancellation)).Lease;

        var (message, detail) = await Refused(StatusCode.ResourceExhausted, Client.AcquireAsync(Ranged((0, Page)), cancellationToken: Cancellation));

        Assert.Equal(first.Id, detail?.LeaseId);
        Assert.Contains(first.Id, message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Acquire_SameRequestId_SameLease()
    {
        var first = await Acquire(change: request => request.RequestId = "once");

        var second = await Acquire(change: request => request.RequestId = "once");

        Assert.Equal(first.Id, second.Id);
    }

    [Fact]
    public async Task Acquire_UnknownPool_NotFoundNamesTheField()
    {
        var request = Sized(Page);
        request.Pool = "any";

        var (_, detail) = await Refused(StatusCode.NotFound, Client.AcquireAsync(request, cancellationToken: Cancellation));

        Assert.Equal("pool", detail?.Field);
    }

    [Fact]
    public async Task Acquire_Wait_AnsweredWhenThereIsRoom()
    {
        var holder = await Acquire(1 << 20);
        var request = Sized(Page);
        request.Wait = new Duration { Seconds = 60 };
        var waiting = Client.AcquireAsync(request, cancellationToken: Cancellation).ResponseAsync;
        Waiting? waiter = null;
        await Wait.Until(async () => (waiter = (await Client.ListLeasesAsync(new(), cancellationToken: Cancellation)).Waiting.FirstOrDefault()) is not null, "the acquire waits");
        Assert.Equal((1u, (ulong)Page, (ulong)Page), (waiter!.Position, waiter.Size, Assert.Single(waiter.Kept).Size));
        Assert.Equal(1u, (await Client.ListDevicesAsync(new(), cancellationToken: Cancellation)).Devices[0].Waiting);

        await Client.ReleaseAsync(new ReleaseRequest { LeaseId = holder.Id }, cancellationToken: Cancellation);

        Assert.Equal(LeaseState.Granted, (await waiting).Lease.State);
    }

    [Fact]
    public async Task AcknowledgeRecall_RecalledLease_IsShownAndMovesNoDeadline()
    {
        var lease = await Acquire();
        Assert.False((await Acknowledge()).RecallAcknowledged);
        using var revoke = Operator.Revoke(new RevokeRequest { LeaseIds = { lease.Id }, Grace = new Duration { Seconds = 60 }, Comment = "why", NoWait = true }, cancellationToken: Cancellation);
        await Wait.Until(async () => (await Client.GetLeaseAsync(new GetLeaseRequest { LeaseId = lease.Id }, cancellationToken: Cancellation)).Lease.State == LeaseState.Recalled, "the lease is recalled");

        var acknowledged = await Acknowledge();

        Assert.Equal((LeaseState.Recalled, EndReason.Operator, true), (acknowledged.State, acknowledged.RecallReason, acknowledged.RecallAcknowledged));
        Assert.EndsWith(": why", acknowledged.RecallDetail, StringComparison.Ordinal);
        Assert.InRange(acknowledged.RecallRemaining.ToTimeSpan().TotalSeconds, 1, 60);
        await Refused(StatusCode.NotFound, Client.AcknowledgeRecallAsync(new AcknowledgeRecallRequest { LeaseId = "ls-none" }, cancellationToken: Cancellation));

        async Task<Lease> Acknowledge() => (await Client.AcknowledgeRecallAsync(new AcknowledgeRecallRequest { LeaseId = lease.Id }, cancellationToken: Cancellation)).Lease;
    }

    [Fact]
    public async Task Acquire_WaitAndTheCallIsCancelled_NothingWaitsAnyMore()
    {
        await Acquire(1 << 20);
        var request = Sized(Page);
        request.Wait = new Duration { Seconds = 60 };
        using var gone = new CancellationTokenSource();
        var waiting = Client.AcquireAsync(request, cancellationToken: gone.Token).ResponseAsync;
        await Wait.Until(async () => (await Client.ListLeasesAsync(new(), cancellationToken: Cancellation)).Waiting.Count == 1, "the acquire waits");

        await gone.CancelAsync();

        await Assert.ThrowsAsync<RpcException>(() => waiting);
        await Wait.Until(async () => (await Client.ListLeasesAsync(new(), cancellationToken: Cancellation)).Waiting.Count == 0, "nothing waits");
    }

    [Fact]
    public async Task Acquire_UnknownDevice_NotFound()
    {
        var (_, detail) = await Refused(StatusCode.NotFound, Client.AcquireAsync(Sized(Page, "nothing"), cancellationToken: Cancellation));

        Assert.Equal("nothing", detail?.Device);
    }

    [Fact]
    public async Task Acquire_CordonedDevice_Unavailable()
    {
        await Operator.CordonDeviceAsync(new CordonDeviceRequest { Device = "sim0", Comment = "maintenance" }, cancellationToken: Cancellation);

        var (message, detail) = await Refused(StatusCode.Unavailable, Client.AcquireAsync(Sized(Page), cancellationToken: Cancellation));

        Assert.Equal("sim0", detail?.Device);
        Assert.Contains("maintenance", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Acquire_DeviceFails_UnavailableAndLogged()
    {
        File.WriteAllText(Directory.File("faults"), "export fail EIO\n");

        await Refused(StatusCode.Unavailable, Client.AcquireAsync(Sized(Page), cancellationToken: Cancellation));

        var device = Assert.Single((await Client.ListDevicesAsync(new(), cancellationToken: Cancellation)).Devices);
        Assert.Equal(1ul << 20, device.Bars[0].Free);
    }

    [Fact]
    public async Task Acquire_TenThousandPastTheQuota_AllRefusedAndNothingKept()
    {
        for (int i = 0; i < 20; i++)
        {
            await Acquire();
        }

        var request = Sized(Page);
        for (int done = 0; done < 10_000; done += 100)
        {
            await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => Refused(StatusCode.ResourceExhausted, Client.AcquireAsync(request, cancellationToken: Cancellation))));
        }

        Assert.Equal(20, (await Client.ListLeasesAsync(new(), cancellationToken: Cancellation)).Leases.Count);
    }

    [Fact]
    public async Task Release_Live_EndedAndReleasingAgainChangesNothing()
    {
        var lease = await Acquire();

        var first = await Client.ReleaseAsync(new ReleaseRequest { LeaseId = lease.Id }, cancellationToken: Cancellation);
        var second = await Client.ReleaseAsync(new ReleaseRequest { LeaseId = lease.Id }, cancellationToken: Cancellation);

        Assert.Equal((LeaseState.Ended, EndReason.Released), (first.Lease.State, first.Lease.EndReason));
        Assert.Equal(first.Lease.EndReason, second.Lease.EndReason);
        Assert.Empty((await Client.ListLeasesAsync(new(), cancellationToken: Cancellation)).Leases);
        Assert.Equal(lease.Id, Assert.Single((await Client.ListLeasesAsync(new ListLeasesRequest { IncludeEnded = true }, cancellationToken: Cancellation)).Leases).Id);
    }

    [Fact]
    public async Task Release_StuckDevice_AnswersStuck()
    {
        var lease = await Acquire();
        File.WriteAllText(Directory.File("faults"), "revoke fail EIO\n");
        Logs.Expect(6);

        var response = await Client.ReleaseAsync(new ReleaseRequest { LeaseId = lease.Id }, cancellationToken: Cancellation);

        Assert.Equal(LeaseState.Stuck, response.Lease.State);
        Assert.NotEmpty(response.Lease.RevokeError);
        File.Delete(Directory.File("faults"));
        await Wait.Until(async () => (await Client.GetLeaseAsync(new GetLeaseRequest { LeaseId = lease.Id })).Lease.State == LeaseState.Ended, "the retried revoke");
    }

    [Theory]
    [InlineData("")]
    [InlineData("ls-9999")]
    [InlineData("no id at all \u0000 \U0001F600")]
    public async Task GetLeaseAndRelease_UnknownId_NotFound(string id)
    {
        await Refused(StatusCode.NotFound, Client.GetLeaseAsync(new GetLeaseRequest { LeaseId = id }, cancellationToken: Cancellation));
        await Refused(StatusCode.NotFound, Client.ReleaseAsync(new ReleaseRequest { LeaseId = id }, cancellationToken: Cancellation));
    }

    [Fact]
    public async Task KeepAlive_LiveUnknownAndEnded_OneResultEachInOrder()
    {
        var live = await Acquire();
        var ended = await Acquire();
        await Client.ReleaseAsync(new ReleaseRequest { LeaseId = ended.Id }, cancellationToken: Cancellation);
        using var stream = Client.KeepAlive(cancellationToken: Cancellation);

        for (int round = 0; round < 3; round++)
        {
            await stream.RequestStream.WriteAsync(
                new KeepAliveRequest { Heartbeats = { new Heartbeat { LeaseId = live.Id }, new Heartbeat { LeaseId = "ls-none" }, new Heartbeat { LeaseId = ended.Id } } }, Cancellation);
            var results = (await Next(stream.ResponseStream, "the answer to heartbeats")).Results;

            Assert.Equal([LeaseState.Granted, LeaseState.Unspecified, LeaseState.Ended], results.Select(result => result.State));
            Assert.Equal([TimeSpan.FromMinutes(5), TimeSpan.Zero, TimeSpan.Zero], results.Select(result => result.Remaining.ToTimeSpan()));
            Assert.Equal(EndReason.Released, results[2].EndReason);
        }

        await stream.RequestStream.CompleteAsync();
        Assert.False(await stream.ResponseStream.MoveNext(Cancellation));
    }

    [Fact]
    public async Task KeepAlive_SizesGrowAndShrink_AsManyResultsAsHeartbeats()
    {
        using var stream = Client.KeepAlive(cancellationToken: Cancellation);
        foreach (int count in new[] { 1024, 0, 3, 1 })
        {
            var request = new KeepAliveRequest();
            request.Heartbeats.AddRange(Enumerable.Repeat(new Heartbeat { LeaseId = "ls-none" }, count));
            await stream.RequestStream.WriteAsync(request, Cancellation);

            Assert.Equal(count, (await Next(stream.ResponseStream, "the answer to heartbeats")).Results.Count);
        }
    }

    [Fact]
    public async Task KeepAlive_TooManyHeartbeats_InvalidArgument()
    {
        using var stream = Client.KeepAlive(cancellationToken: Cancellation);
        var request = new KeepAliveRequest();
        request.Heartbeats.AddRange(Enumerable.Repeat(new Heartbeat(), 1025));
        await stream.RequestStream.WriteAsync(request, Cancellation);

        var exception = await Assert.ThrowsAsync<RpcException>(() => stream.ResponseStream.MoveNext(Cancellation));

        Assert.Equal(StatusCode.InvalidArgument, exception.StatusCode);
        Assert.Equal("heartbeats", exception.GetRpcStatus()?.GetDetail<ErrorDetail>()?.Field);
    }

    [Fact]
    public async Task Watch_LeaseComesAndGoes_EmptyFirstThenEveryState()
    {
        using var watch = Client.Watch(new WatchRequest(), cancellationToken: Cancellation);
        Assert.Equal(WatchEvent.EventOneofCase.None, (await Next(watch.ResponseStream, "the first message")).EventCase);
        var lease = await Acquire();
        await Client.ReleaseAsync(new ReleaseRequest { LeaseId = lease.Id }, cancellationToken: Cancellation);
        await Operator.CordonDeviceAsync(new CordonDeviceRequest { Device = "sim0" }, cancellationToken: Cancellation);

        var states = new List<LeaseState>();
        WatchEvent happened;
        while ((happened = await Next(watch.ResponseStream, "the device's event")).EventCase != WatchEvent.EventOneofCase.Device)
        {
            Assert.Equal(lease.Id, happened.Lease.Id);
            states.Add(happened.Lease.State);
        }

        Assert.Equal([LeaseState.Granted, LeaseState.Revoking, LeaseState.Ended], states);
        Assert.Equal(DeviceState.Cordoned, happened.Device.State);
    }

    [Fact]
    public async Task Watch_NobodyReads_EndedWithResourceExhaustedAndOthersGoOn()
    {
        using var channel = Open(ClientSocket);
        using var watch = new LeaseService.LeaseServiceClient(channel).Watch(new WatchRequest(), cancellationToken: Cancellation);
        await Next(watch.ResponseStream, "the first message");

        // Labels make the events large enough for the connection's window to fill before the queue does.
        for (int i = 0; i < 1500; i++)
        {
            var lease = await Acquire(change: request => request.Labels.Add("weight", new string('x', 255)));
            await Client.ReleaseAsync(new ReleaseRequest { LeaseId = lease.Id }, cancellationToken: Cancellation);
        }

        var exception = await Assert.ThrowsAsync<RpcException>(async () =>
        {
            while (await watch.ResponseStream.MoveNext(Cancellation))
            {
            }
        });
        Assert.True(exception.StatusCode == StatusCode.ResourceExhausted, exception.Status.ToString());
    }
}
