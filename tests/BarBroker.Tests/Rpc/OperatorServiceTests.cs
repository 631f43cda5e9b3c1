// SPDX-License-Identifier: Apache-2.0

using BarBroker.Testing;
using BarBroker.Tests.Hosting;
using BarBroker.V1;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace BarBroker.Tests.Rpc;

public sealed class OperatorServiceTests : BrokerTest
{
    [Fact]
    public async Task GetStatus_LeasesAndDevice_Counted()
    {
        await Acquire();
        var ended = await Acquire();
        await Client.ReleaseAsync(new ReleaseRequest { LeaseId = ended.Id }, cancellationToken: Cancellation);

        var status = await Operator.GetStatusAsync(new(), cancellationToken: Cancellation);

        Assert.Equal((1u, 0u, 0u, 0u, 0u, 1ul), (status.Granted, status.Active, status.Recalled, status.Revoking, status.Stuck, status.Ended));
        Assert.Equal(Environment.ProcessId, status.Pid);
        Assert.StartsWith("0.", status.Version, StringComparison.Ordinal);
        Assert.Equal(Broker.MetricsUrl, status.MetricsUrl);
        Assert.Contains(status.Warnings, warning => warning.Contains("simulated", StringComparison.Ordinal));
        Assert.Equal("sim0", Assert.Single(status.Devices).Name);
    }

    [Fact]
    public async Task ListLeases_BySelector_OnlyThoseThatFit()
    {
        var red = await Acquire(change: request => request.Labels.Add("colour", "red"));
        var blue = await Acquire(change: request => request.Labels.Add("colour", "blue"));

        Assert.Equal([red.Id, blue.Id], await List(new LeaseSelector()));
        Assert.Equal([blue.Id], await List(new LeaseSelector { Labels = { ["colour"] = "blue" } }));
        Assert.Equal([], await List(new LeaseSelector { Uid = 4_000_000_000 }));
        Assert.Equal([], await List(new LeaseSelector { Pid = 1 }));
        Assert.Equal([], await List(new LeaseSelector { States = { LeaseState.Stuck } }));
        Assert.Equal([red.Id, blue.Id], await List(new LeaseSelector { Device = "sim0", Pid = Environment.ProcessId, Uid = Linux.Users.EffectiveUid }));
        await Refused(
            StatusCode.InvalidArgument,
            Operator.ListLeasesAsync(new OperatorListLeasesRequest { Selector = new LeaseSelector { States = { (LeaseState)77 } } }, cancellationToken: Cancellation));
    }

    [Fact]
    public async Task GetLease_Unknown_NotFound() =>
        await Refused(StatusCode.NotFound, Operator.GetLeaseAsync(new OperatorGetLeaseRequest { LeaseId = "ls-none" }, cancellationToken: Cancellation));

    [Fact]
    public async Task Revoke_ById_EndsThatOneWithWhoAndWhy()
    {
        var revoked = await Acquire();
        var kept = await Acquire();

        var ended = Assert.Single(await Revoke(new RevokeRequest { LeaseIds = { revoked.Id, revoked.Id }, Comment = "in the way" })).Lease;

        Assert.Equal((LeaseState.Ended, EndReason.Operator), (ended.State, ended.EndReason));
        Assert.Contains("in the way", ended.EndDetail, StringComparison.Ordinal);
        Assert.Contains($"process {Environment.ProcessId}", ended.EndDetail, StringComparison.Ordinal);
        Assert.Equal([kept.Id], await List(new LeaseSelector()));
    }

    [Fact]
    public async Task Revoke_BySelector_EndsAllThatFit()
    {
        await Acquire();
        await Acquire();

        var ended = await Revoke(new RevokeRequest { Selector = new LeaseSelector { Device = "sim0" } });

        Assert.Equal([LeaseState.Ended, LeaseState.Ended], ended.Select(answer => answer.Lease.State));
        Assert.Empty(await Revoke(new RevokeRequest { Selector = new LeaseSelector { Device = "sim0" } }));
    }

    [Fact]
    public async Task Revoke_OneIdUnknown_NotFoundAndNothingEnded()
    {
        var lease = await Acquire();

        await Refused(StatusCode.NotFound, Operator.Revoke(new RevokeRequest { LeaseIds = { lease.Id, "ls-none" } }, cancellationToken: Cancellation));

        Assert.Equal([lease.Id], await List(new LeaseSelector()));
    }

    [Fact]
    public async Task Revoke_NothingOrBothNamed_InvalidArgument()
    {
        var lease = await Acquire();

        await Refused(StatusCode.InvalidArgument, Operator.Revoke(new RevokeRequest(), cancellationToken: Cancellation));
        await Refused(StatusCode.InvalidArgument, Operator.Revoke(new RevokeRequest { Selector = new LeaseSelector() }, cancellationToken: Cancellation));
        await Refused(
            StatusCode.InvalidArgument,
            Operator.Revoke(new RevokeRequest { LeaseIds = { lease.Id }, Selector = new LeaseSelector { Device = "sim0" } }, cancellationToken: Cancellation));
        await Refused(
            StatusCode.InvalidArgument,
            Operator.Revoke(new RevokeRequest { LeaseIds = { lease.Id }, Grace = new Duration { Seconds = -1 } }, cancellationToken: Cancellation));

        Assert.Equal([lease.Id], await List(new LeaseSelector()));
    }

    [Fact]
    public async Task Revoke_WithGraceAndNoWait_AnswersRecalled()
    {
        var lease = await Acquire();

        var answer = Assert.Single(await Revoke(new RevokeRequest { LeaseIds = { lease.Id }, Grace = new Duration { Seconds = 60 }, NoWait = true })).Lease;

        Assert.Equal(LeaseState.Recalled, answer.State);
        Assert.InRange(answer.RecallRemaining.ToTimeSpan(), TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(60));
    }

    [Fact]
    public async Task Revoke_WithGrace_AnswersWhenReleased()
    {
        var lease = await Acquire();
        using var call = Operator.Revoke(new RevokeRequest { LeaseIds = { lease.Id }, Grace = new Duration { Seconds = 600 } }, cancellationToken: Cancellation);
        await Wait.Until(async () => (await Client.GetLeaseAsync(new GetLeaseRequest { LeaseId = lease.Id })).Lease.State == LeaseState.Recalled, "the recall");

        await Client.ReleaseAsync(new ReleaseRequest { LeaseId = lease.Id }, cancellationToken: Cancellation);

        Assert.Equal(LeaseState.Ended, Assert.Single(await ReadAll(call)).Lease.State);
    }

    [Fact]
    public async Task Revoke_AlreadyEnded_AnsweredAsItIs()
    {
        var lease = await Acquire();
        await Client.ReleaseAsync(new ReleaseRequest { LeaseId = lease.Id }, cancellationToken: Cancellation);

        foreach (var grace in new Duration?[] { null, new Duration { Seconds = 60 } })
        {
            var answer = Assert.Single(await Revoke(new RevokeRequest { LeaseIds = { lease.Id }, Grace = grace })).Lease;

            Assert.Equal((LeaseState.Ended, EndReason.Released), (answer.State, answer.EndReason));
        }
    }

    [Fact]
    public async Task Revoke_CallerGoesAway_EndsAllTheSame()
    {
        var lease = await Acquire();
        File.WriteAllText(Directory.File("faults"), "revoke slow 100ms\n");
        using (var call = Operator.Revoke(new RevokeRequest { LeaseIds = { lease.Id } }, cancellationToken: Cancellation))
        {
            await Wait.Until(async () => (await Client.GetLeaseAsync(new GetLeaseRequest { LeaseId = lease.Id })).Lease.State >= LeaseState.Revoking, "the decision");
        }

        await Wait.Until(async () => (await Client.GetLeaseAsync(new GetLeaseRequest { LeaseId = lease.Id })).Lease.State == LeaseState.Ended, "the end");
    }

    [Fact]
    public async Task GetDevice_OneLease_SegmentsWithoutGaps()
    {
        var lease = (await Client.AcquireAsync(Ranged((Page, Page)), cancellationToken: Cancellation)).Lease;

        var response = await Operator.GetDeviceAsync(new GetDeviceRequest { Device = "sim0" }, cancellationToken: Cancellation);

        Assert.Equal(
            [(0u, 0ul, Page, Segment.Types.Use.Free), (0u, Page, Page, Segment.Types.Use.Leased), (0u, 2 * Page, (1ul << 20) - (2 * Page), Segment.Types.Use.Free), (2u, 0ul, 64ul << 10, Segment.Types.Use.Free)],
            response.Segments.Select(segment => (segment.Bar, segment.Range.Offset, segment.Range.Length, segment.Use)));
        Assert.Equal([lease.Id], response.Segments[1].LeaseIds);
        await Refused(StatusCode.NotFound, Operator.GetDeviceAsync(new GetDeviceRequest { Device = "none" }, cancellationToken: Cancellation));
    }

    [Fact]
    public async Task CordonUncordon_Device_StateFollows()
    {
        var lease = await Acquire();

        var cordoned = await Operator.CordonDeviceAsync(new CordonDeviceRequest { Device = "sim0", Comment = "swap" }, cancellationToken: Cancellation);
        var uncordoned = await Operator.UncordonDeviceAsync(new UncordonDeviceRequest { Device = "sim0" }, cancellationToken: Cancellation);

        Assert.Equal(DeviceState.Cordoned, cordoned.Device.State);
        Assert.Contains("swap", cordoned.Device.Detail, StringComparison.Ordinal);
        Assert.Equal([CordonCause.Operator], cordoned.Device.Cordons.Select(cordon => cordon.Cause));
        Assert.Contains("swap", cordoned.Device.Cordons[0].Comment, StringComparison.Ordinal);
        Assert.Empty(uncordoned.Device.Cordons);
        Assert.Equal(DeviceState.Ready, uncordoned.Device.State);
        Assert.Equal([lease.Id], await List(new LeaseSelector()));
    }

    [Fact]
    public async Task DrainDevice_TwoLeases_BothEndAndDeviceStaysCordoned()
    {
        await Acquire();
        await Acquire();
        using var call = Operator.DrainDevice(new DrainDeviceRequest { Device = "sim0" }, cancellationToken: Cancellation);

        var answers = await ReadAll(call);

        Assert.Null(answers[0].Lease);
        Assert.Equal([(LeaseState.Ended, EndReason.Operator), (LeaseState.Ended, EndReason.Operator)], answers[1..].Select(answer => (answer.Lease.State, answer.Lease.EndReason)));
        Assert.Equal([(2u, 0u, 0u, 2u), (2u, 1u, 0u, 1u), (2u, 2u, 0u, 0u)], answers.Select(static answer => (answer.Progress.Total, answer.Progress.Ended, answer.Progress.Stuck, answer.Progress.Remaining)));
        await Refused(StatusCode.Unavailable, Client.AcquireAsync(Sized(Page), cancellationToken: Cancellation));
    }

    [Fact]
    public async Task ResetDevice_StuckLease_FreesItsRange()
    {
        var lease = await Acquire();
        File.WriteAllText(Directory.File("faults"), "revoke fail EIO\n");
        Logs.Expect(6);
        await Revoke(new RevokeRequest { LeaseIds = { lease.Id } });
        Assert.Equal(1u, (await Operator.GetStatusAsync(new(), cancellationToken: Cancellation)).Stuck);
        File.Delete(Directory.File("faults"));

        var response = await Operator.ResetDeviceAsync(new ResetDeviceRequest { Device = "sim0" }, cancellationToken: Cancellation);

        Assert.Equal(2u, response.Device.Generation);
        Assert.Equal((1ul << 20, 0ul), (response.Device.Bars[0].Free, response.Device.Bars[0].Quarantined));
    }

    [Fact]
    public async Task DrainDevice_RevokeFails_IsCountedAsStuck()
    {
        await Acquire();
        File.WriteAllText(Directory.File("faults"), "revoke fail EIO\n");
        Logs.Expect(6);
        using var call = Operator.DrainDevice(new DrainDeviceRequest { Device = "sim0" }, cancellationToken: Cancellation);

        var progress = (await ReadAll(call))[^1].Progress;

        Assert.Equal((1u, 0u, 1u, 0u), (progress.Total, progress.Ended, progress.Stuck, progress.Remaining));
        File.Delete(Directory.File("faults"));
    }

    [Fact]
    public async Task ResetDevice_DryRun_TellsWhatWouldBecomeOfWhom()
    {
        var lease = await Acquire();

        var answer = await Operator.ResetDeviceAsync(new ResetDeviceRequest { Device = "sim0", DryRun = true }, cancellationToken: Cancellation);

        Assert.Equal((lease.Id, LeaseState.Granted), (Assert.Single(answer.Plan.Leases).Id, answer.Plan.Leases[0].State));
        Assert.Equal((ResetWay.Function, "its simulated BARs are zeroed"), (answer.Plan.Way, answer.Plan.Detail));
        Assert.Equal(1u, answer.Device.Generation);
        Assert.Equal(LeaseState.Granted, (await Operator.GetLeaseAsync(new OperatorGetLeaseRequest { LeaseId = lease.Id }, cancellationToken: Cancellation)).Lease.State);
    }

    [Fact]
    public async Task ResetDevice_WithGrace_RecallsFirst()
    {
        var lease = await Acquire();

        var reset = Operator.ResetDeviceAsync(new ResetDeviceRequest { Device = "sim0", Grace = Duration.FromTimeSpan(TimeSpan.FromMinutes(5)) }, cancellationToken: Cancellation);
        await Wait.Until(
            async () => (await Operator.GetLeaseAsync(new OperatorGetLeaseRequest { LeaseId = lease.Id }, cancellationToken: Cancellation)).Lease is { State: LeaseState.Recalled, RecallReason: EndReason.DeviceReset },
            "the lease to be recalled");
        await Client.ReleaseAsync(new ReleaseRequest { LeaseId = lease.Id }, cancellationToken: Cancellation);

        Assert.Equal((1u, 2u), ((await reset).Ended, (await reset).Device.Generation));
    }

    [Fact]
    public async Task WatchLeases_LeaseOfAnybody_Told()
    {
        using var watch = Operator.WatchLeases(new WatchLeasesRequest(), cancellationToken: Cancellation);
        Assert.Equal(WatchLeasesResponse.EventOneofCase.None, (await Next(watch.ResponseStream, "the first message")).EventCase);

        var lease = await Acquire();

        Assert.Equal(lease.Id, (await Next(watch.ResponseStream, "the grant")).Lease.Id);
    }

    [Fact]
    public async Task Reload_Unimplemented() => await Refused(StatusCode.Unimplemented, Operator.ReloadAsync(new(), cancellationToken: Cancellation));

    private async Task<List<RevokeResponse>> Revoke(RevokeRequest request)
    {
        using var call = Operator.Revoke(request, cancellationToken: Cancellation);
        return await ReadAll(call);
    }

    private async Task<IEnumerable<string>> List(LeaseSelector selector) =>
        (await Operator.ListLeasesAsync(new OperatorListLeasesRequest { Selector = selector }, cancellationToken: Cancellation)).Leases.Select(lease => lease.Id);
}
