// SPDX-License-Identifier: Apache-2.0

using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Testing;
using BarBroker.V1;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace BarBroker.EndToEnd.Tests.Monitoring;

/// <summary>What a real daemon serves when everything has happened that is counted.</summary>
public sealed class ScrapeTests : TestBase
{
    [Fact]
    public async Task Scrape_AfterEverythingHappened_WhatTheDocumentationLists()
    {
        var broker = await StartAsync();
        using var client = RpcClient.Dial(broker.ClientSocket);
        await MakeEverythingHappenAsync(client);

        string scrape = await ScrapeAsync(broker);

        Assert.Equal(Lines(Deployed.Documented()), Lines(Deployed.Scraped(scrape)));
    }

    [Fact]
    public async Task Scrape_NamesAndUnits_PromtoolFindsNoFault()
    {
        var directory = Own(new TestDirectory());
        var broker = await StartAsync();
        using var client = RpcClient.Dial(broker.ClientSocket);
        await MakeEverythingHappenAsync(client);
        string file = directory.File("scrape");
        // The exposition format that promtool reads; only the broker's own.
        await File.WriteAllLinesAsync(file, (await ScrapeAsync(broker)).Split('\n').Where(static line => line.Contains("barbroker_", StringComparison.Ordinal) && !line.StartsWith("# UNIT", StringComparison.Ordinal)), Cancellation);

        await Tool.RunAsync("/bin/sh", "-c", $"{Deployed.Program("promtool")} check metrics < {file}");
    }

    private static string Lines(IReadOnlyDictionary<string, string> metrics) => string.Join("\n", metrics.Select(static metric => $"{metric.Key} {metric.Value}"));

    private async Task<Daemon> StartAsync()
    {
        var directory = Own(new TestDirectory());
        string configuration = new BrokerConfiguration().Device("sim0", "64KiB").Device("sim1", "64KiB")
            .Pool("""{ "name": "p", "devices": "sim1", "buffers": [ { "size": "4KiB" }, { "offset": "32KiB", "granularity": "4KiB" } ], "count": 8, "scrub": "0x00000000" }""").Set("metrics", "enabled", true).Set("metrics", "address", "127.0.0.1:0")
            .Set("leases", "ticketTtl", "100ms").Write(directory.Path);
        return Own(await Daemon.StartAsync(directory.Path, configuration));
    }

    /// <summary>A lease whose ticket expires, one that is released, an acquire that waits in vain, and a lease from a pool.</summary>
    private static async Task MakeEverythingHappenAsync(RpcClient client)
    {
        var whole = new AcquireRequest { Device = "sim0", Buffers = { new BufferRequest { Size = 64 * 1024 } } };
        var lease = (await client.Leases.AcquireAsync(whole)).Lease;
        await Wait.Until(async () => (await client.Leases.GetLeaseAsync(new GetLeaseRequest { LeaseId = lease.Id })).Lease.State == LeaseState.Ended, "the ticket expires", Patience.Long);
        var holder = whole.Clone();
        holder.Buffers[0].Size = 32 * 1024;
        var refused = whole.Clone();
        refused.Wait = Duration.FromTimeSpan(TimeSpan.FromMilliseconds(1));
        lease = (await client.Leases.AcquireAsync(holder)).Lease;
        await Assert.ThrowsAsync<RpcException>(async () => await client.Leases.AcquireAsync(refused));
        await client.Leases.ReleaseAsync(new ReleaseRequest { LeaseId = lease.Id });
        await client.Leases.AcquireAsync(new AcquireRequest { Pool = "p" });
    }

    private static async Task<string> ScrapeAsync(Daemon broker)
    {
        using var admin = RpcClient.Dial(broker.OperatorSocket);
        using var http = new HttpClient();
        return await http.GetStringAsync(new Uri((await admin.Operator.GetStatusAsync(new GetStatusRequest())).MetricsUrl), Cancellation);
    }
}
