// SPDX-License-Identifier: Apache-2.0

using BarBroker.Testing;
using BarBroker.Tests.Hosting;
using BarBroker.V1;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace BarBroker.Tests.Rpc;

public sealed class HistoryTests : BrokerTest
{
    [Fact]
    public async Task History_RevokedByAnOperator_SaysWhoAndWhy()
    {
        var lease = await Acquire(change: request => request.Labels.Add("team", "net"));
        using (var call = Operator.Revoke(new RevokeRequest { LeaseIds = { lease.Id }, Comment = "in the way" }, cancellationToken: Cancellation))
        {
            await ReadAll(call);
        }

        var ofLease = await Read(new HistoryRequest { LeaseId = lease.Id, Kinds = { HistoryKind.Granted, HistoryKind.Ended } });
        Assert.Equal([HistoryKind.Granted, HistoryKind.Ended], ofLease.Select(entry => entry.Kind));
        Assert.Equal(EndReason.Operator, ofLease[1].Reason);
        Assert.Contains("in the way", ofLease[1].Detail, StringComparison.Ordinal);

        await Wait.Until(async () => (await Read(new HistoryRequest { Kinds = { HistoryKind.Operator } })).Count == 2, "the beginning and the end of the call");
        var actions = await Read(new HistoryRequest { Kinds = { HistoryKind.Operator } });
        Assert.All(actions, action => Assert.Equal(
            ("Revoke", lease.Id, Linux.Users.EffectiveUid, Environment.ProcessId), (action.Action, action.LeaseId, action.Actor.Uid, action.Actor.Pid)));
        Assert.Equal([$"{lease.Id}; in the way; begun", $"{lease.Id}; in the way; 1 ended"], actions.Select(action => action.Detail));
        Assert.Equal(2, (await Read(new HistoryRequest { Labels = { ["team"] = "net" }, Kinds = { HistoryKind.Granted, HistoryKind.Ended } })).Count);
    }

    [Fact]
    public async Task History_DeviceActions_WithTheirOutcome()
    {
        await Operator.CordonDeviceAsync(new CordonDeviceRequest { Device = "sim0", Comment = "swap" }, cancellationToken: Cancellation);
        await Operator.UncordonDeviceAsync(new UncordonDeviceRequest { Device = "sim0" }, cancellationToken: Cancellation);
        await Operator.ResetDeviceAsync(new ResetDeviceRequest { Device = "sim0" }, cancellationToken: Cancellation);
        await Refused(StatusCode.NotFound, Operator.CordonDeviceAsync(new CordonDeviceRequest { Device = "none" }, cancellationToken: Cancellation));

        var actions = await Read(new HistoryRequest { Kinds = { HistoryKind.Operator } });

        Assert.Equal(
            [("CordonDevice", "sim0"), ("UncordonDevice", "sim0"), ("ResetDevice", "sim0"), ("ResetDevice", "sim0"), ("CordonDevice", "none")], actions.Select(action => (action.Action, action.Device)));
        Assert.Equal("swap; done", actions[0].Detail);
        Assert.StartsWith("refused: ", actions[4].Detail, StringComparison.Ordinal);
        Assert.Contains(await Read(new HistoryRequest { Kinds = { HistoryKind.Device } }), entry => entry.Action == "cordoned" && entry.Detail.Contains("swap", StringComparison.Ordinal));
    }

    [Fact]
    public async Task History_ManyEntries_StreamsAllInOrder()
    {
        for (int i = 0; i < 600; i++)
        {
            await Client.ReleaseAsync(new ReleaseRequest { LeaseId = (await Acquire()).Id }, cancellationToken: Cancellation);
        }

        var all = await Read(new HistoryRequest { Kinds = { HistoryKind.Granted, HistoryKind.Ended } });
        var newest = await Read(new HistoryRequest { Kinds = { HistoryKind.Granted, HistoryKind.Ended }, NewestFirst = true, Limit = 700 });

        Assert.Equal(1200, all.Count);
        Assert.Equal(all.Select(entry => entry.Sequence).Distinct().Order(), all.Select(entry => entry.Sequence));
        Assert.Equal(all.TakeLast(700).Reverse().Select(entry => entry.Sequence), newest.Select(entry => entry.Sequence));
    }

    [Fact]
    public async Task History_TimesAndMistakes_Checked()
    {
        await Acquire();
        var future = Timestamp.FromDateTimeOffset(DateTimeOffset.UtcNow.AddDays(1));

        Assert.Empty(await Read(new HistoryRequest { Since = future }));
        Assert.NotEmpty(await Read(new HistoryRequest { Until = future }));
        await Refused(StatusCode.InvalidArgument, Operator.History(new HistoryRequest { Since = new Timestamp { Seconds = long.MaxValue } }, cancellationToken: Cancellation));
        await Refused(StatusCode.InvalidArgument, Operator.History(new HistoryRequest { Kinds = { HistoryKind.Unspecified } }, cancellationToken: Cancellation));
    }

    [Fact]
    public async Task GetStatus_JournalDeletedMeanwhile_LeasesGoOn()
    {
        var before = await Acquire();
        string path = (await Operator.GetStatusAsync(new(), cancellationToken: Cancellation)).Journal.Path;
        await Read(new HistoryRequest());
        File.Delete(path);

        var after = await Acquire();

        await Wait.Until(async () => (await Read(new HistoryRequest { LeaseId = after.Id })).Count > 0, "the grant in the new file");
        Assert.Equal(LeaseState.Granted, (await Operator.GetLeaseAsync(new OperatorGetLeaseRequest { LeaseId = before.Id }, cancellationToken: Cancellation)).Lease.State);
        Assert.True(File.Exists(path));
    }

    private async Task<List<HistoryEvent>> Read(HistoryRequest request)
    {
        using var call = Operator.History(request, cancellationToken: Cancellation);
        return [.. (await ReadAll(call)).Select(response => response.Event)];
    }
}
