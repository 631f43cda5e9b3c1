// SPDX-License-Identifier: Apache-2.0

using System.Text.RegularExpressions;
using BarBroker.Testing;
using BarBroker.Tests.Hosting;
using BarBroker.V1;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace BarBroker.Tests.Telemetry;

public sealed partial class MetricsTests : BrokerTest
{
    // It needs a lease that expires to appear; the end-to-end tests see all.
    private static readonly string[] NeedTrouble = ["barbroker_expiry_lateness_seconds"];

    // What there is only with pools: see PoolServiceTests.
    private static readonly string[] NeedPools = ["barbroker_pool_slots", "barbroker_pool_bytes", "barbroker_pool_fragmentation_ratio", "barbroker_scrub_duration_seconds"];

    [Fact]
    public async Task Scrape_AfterLeases_WhatTheDocumentationLists()
    {
        var released = await Acquire();
        await Client.ReleaseAsync(new ReleaseRequest { LeaseId = released.Id }, cancellationToken: Cancellation);
        await Acquire();

        await Refused(StatusCode.ResourceExhausted, Client.AcquireAsync(
            new AcquireRequest { Device = "sim0", Buffers = { new BufferRequest { Ranges = { new V1.Range { Offset = 0, Length = Page } } } }, Wait = new Duration { Nanos = 1_000_000 } },
            cancellationToken: Cancellation));

        var served = NamePattern().Matches(await Scrape()).Select(match => match.Groups[1].Value).ToHashSet();
        var documented = RowPattern().Matches(await File.ReadAllTextAsync(Path.Combine(Repository.Root, "docs/metrics.md"), Cancellation))
            .Select(match => match.Groups[1].Value).ToHashSet();

        Assert.Equal(documented.Except(NeedTrouble).Except(NeedPools).Order(), served.Except(NeedTrouble).Except(NeedPools).Order());
        Assert.Subset(documented, NeedTrouble.Concat(NeedPools).ToHashSet());
    }

    [Fact]
    public async Task Scrape_OneLease_ValuesAndBuckets()
    {
        await Acquire(2 * Page);

        string text = await Scrape();

        // Another broker of this process may be counted, too, so only this broker's own are looked for.
        Assert.Matches("""barbroker_bar_bytes\{[^}]*bar="0"[^}]*device="sim0"[^}]*use="leased"[^}]*\} 8192""", text);
        Assert.Matches("""barbroker_rpc_calls_total\{[^}]*code="OK"[^}]*method="barbroker.v1.LeaseService/Acquire"[^}]*\} \d+""", text);
        Assert.Matches("""barbroker_acquire_duration_seconds_bucket\{[^}]*le="1E-05"|barbroker_acquire_duration_seconds_bucket\{[^}]*le="0.00001""", text);
        Assert.Matches("""barbroker_connections\{[^}]*socket="client"[^}]*\} 1""", text);
    }

    private async Task<string> Scrape()
    {
        using var http = new HttpClient();
        return await http.GetStringAsync(new Uri(Broker.MetricsUrl), Cancellation);
    }

    [GeneratedRegex(@"^# TYPE (barbroker_\w+) ", RegexOptions.Multiline)]
    private static partial Regex NamePattern();

    [GeneratedRegex(@"^\| `(barbroker_\w+)` \|", RegexOptions.Multiline)]
    private static partial Regex RowPattern();
}
