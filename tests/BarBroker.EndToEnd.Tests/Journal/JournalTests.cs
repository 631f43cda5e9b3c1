// SPDX-License-Identifier: Apache-2.0

using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Testing;
using BarBroker.V1;
using Grpc.Core;

namespace BarBroker.EndToEnd.Tests.Journal;

/// <summary>What a broker remembers when it, or its journal, comes to a bad end.</summary>
public sealed class JournalTests : TestBase
{
    private const string Failing = "cannot be used";

    [Fact]
    public async Task Kill_RightAfterAnAcquire_EveryGrantIsRemembered()
    {
        var directory = Own(new TestDirectory());
        string configuration = new BrokerConfiguration().Device("sim0", "64MiB").Write(directory.Path);
        var granted = new List<string>();
        for (int run = 0; run < 5; run++)
        {
            var killed = Own(await Daemon.StartAsync(directory.Path, configuration));
            using var client = RpcClient.Dial(killed.ClientSocket);
            for (int i = 0; i < 20; i++)
            {
                granted.Add((await client.Leases.AcquireAsync(Small(), cancellationToken: Cancellation)).Lease.Id);
            }

            // The last word of this broker is a delivery: then it is gone.
            using var fds = new FdClient(killed.FdSocket);
            for (int i = 0; i <= run; i++)
            {
                var delivery = (await fds.AskAsync(FdClient.Acquire(Small(), $"{run}-{i}")))!.Delivery;
                granted.Add(delivery.Lease.Id);
            }

            killed.Kill();
        }

        var broker = Own(await Daemon.StartAsync(directory.Path, configuration));
        List<HistoryEvent> entries = [];
        await Wait.Until(async () => (entries = await HistoryAsync(broker, new HistoryRequest())).Count(static entry => entry.Kind == HistoryKind.Ended) >= granted.Count, "the leases of before have ended");

        Assert.Equal(granted.Order(), entries.Where(entry => entry.Kind == HistoryKind.Granted).Select(entry => entry.LeaseId).Order());
        var ends = entries.Where(entry => entry.Kind == HistoryKind.Ended).ToList();
        Assert.Equal(granted.Order(), ends.Select(entry => entry.LeaseId).Order());
        Assert.All(ends, end => Assert.Equal(EndReason.BrokerRestart, end.Reason));
        Assert.Empty(broker.Errors);
    }

    [Fact]
    public async Task Stop_InGoodOrder_TheEndOfEveryLeaseIsRemembered()
    {
        var directory = Own(new TestDirectory());
        string configuration = new BrokerConfiguration().Device("sim0", "1MiB").Write(directory.Path);
        var stopped = Own(await Daemon.StartAsync(directory.Path, configuration));
        using var client = RpcClient.Dial(stopped.ClientSocket);
        string lease = (await client.Leases.AcquireAsync(Small(), cancellationToken: Cancellation)).Lease.Id;

        Assert.Equal(0, await stopped.StopAsync());

        Assert.Empty(Directory.GetFiles(stopped.RuntimeDirectory, "journal.ahead-*"));
        var broker = Own(await Daemon.StartAsync(directory.Path, configuration));
        var entries = await HistoryAsync(broker, new HistoryRequest());
        Assert.Equal(EndReason.BrokerShutdown, Assert.Single(entries, entry => entry.Kind == HistoryKind.Ended && entry.LeaseId == lease).Reason);
        Assert.Equal(["started", "stopped", "started"], entries.Where(entry => entry.Kind == HistoryKind.Broker).Select(entry => entry.Action));
    }

    [Theory]
    [InlineData("deleted")]
    [InlineData("truncated")]
    [InlineData("overwritten")]
    [InlineData("replaced by a directory")]
    public async Task Destroy_JournalOfALivingBroker_LeasesGoOnAndANewJournalBegins(string how)
    {
        var directory = Own(new TestDirectory());
        string configuration = new BrokerConfiguration().Device("sim0", "1MiB").Write(directory.Path);
        var broker = Own(await Daemon.StartAsync(directory.Path, configuration));
        using var client = RpcClient.Dial(broker.ClientSocket);
        using var admin = RpcClient.Dial(broker.OperatorSocket);
        string before = (await client.Leases.AcquireAsync(Small(), cancellationToken: Cancellation)).Lease.Id;
        await HistoryAsync(broker, new HistoryRequest());
        string path = (await admin.Operator.GetStatusAsync(new GetStatusRequest(), cancellationToken: Cancellation)).Journal.Path;

        Destroy(path, how);
        if (how == "replaced by a directory")
        {
            await client.Leases.AcquireAsync(Small(), cancellationToken: Cancellation);
            await Wait.Until(
                async () => (await admin.Operator.GetStatusAsync(new GetStatusRequest())).Warnings.Any(warning => warning.Contains("journal", StringComparison.Ordinal)), "the status warns", Patience.Long);
            Directory.Delete(path);
        }

        await Wait.Until(
            async () =>
            {
                string next = (await client.Leases.AcquireAsync(Small(), cancellationToken: Cancellation)).Lease.Id;
                await client.Leases.ReleaseAsync(new ReleaseRequest { LeaseId = next });
                return (await TryHistoryAsync(broker, next)).Count == 2;
            },
            "a new journal tells of new leases",
            Patience.Long);
        Assert.Equal(LeaseState.Granted, (await client.Leases.GetLeaseAsync(new GetLeaseRequest { LeaseId = before })).Lease.State);
        Assert.Equal("", (await admin.Operator.GetStatusAsync(new GetStatusRequest(), cancellationToken: Cancellation)).Journal.Problem);
        Assert.All(broker.Errors, error => Assert.Contains(Failing, error, StringComparison.Ordinal));
    }

    private static AcquireRequest Small() => new()
    {
        Buffers = { new BufferRequest { Size = 4096 } },
        Ttl = new Google.Protobuf.WellKnownTypes.Duration { Seconds = 600 },
    };

    private static void Destroy(string path, string how)
    {
        switch (how)
        {
            case "truncated":
                foreach (string file in new[] { path, $"{path}-wal" })
                {
                    using var stream = new FileStream(file, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
                    stream.SetLength(stream.Length / 3);
                }

                break;
            case "overwritten":
                foreach (string file in new[] { path, $"{path}-wal" })
                {
                    byte[] garbage = new byte[new FileInfo(file).Length];
                    new Random(1).NextBytes(garbage);
                    using var stream = new FileStream(file, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
                    stream.Write(garbage);
                }

                break;
            default:
                File.Delete(path);
                File.Delete($"{path}-wal");
                if (how == "replaced by a directory")
                {
                    Directory.CreateDirectory(path);
                }

                break;
        }
    }

    private static async Task<List<HistoryEvent>> HistoryAsync(Daemon broker, HistoryRequest request)
    {
        using var admin = RpcClient.Dial(broker.OperatorSocket);
        using var call = admin.Operator.History(request, deadline: DateTime.UtcNow + Patience.Long);
        var entries = new List<HistoryEvent>();
        await foreach (var response in call.ResponseStream.ReadAllAsync(Cancellation))
        {
            entries.Add(response.Event);
        }

        return entries;
    }

    private static async Task<List<HistoryEvent>> TryHistoryAsync(Daemon broker, string lease)
    {
        try
        {
            return await HistoryAsync(broker, new HistoryRequest { LeaseId = lease });
        }
        catch (RpcException exception) when (exception.StatusCode == StatusCode.Unavailable)
        {
            return [];
        }
    }
}
