// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using System.Text.RegularExpressions;
using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Testing;
using BarBroker.V1;

namespace BarBroker.EndToEnd.Tests.Restart;

/// <summary>A daemon that was restarted tells its clients of what becomes of their leases, at once.</summary>
public sealed class NoticeTests : TestBase
{
    private static readonly string[] Calls = ["LeaseService/KeepAlive", "LeaseService/GetLease", "LeaseService/AcknowledgeRecall"];

    private ServiceManager _manager = null!;

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        var directory = Own(new TestDirectory());
        var configuration = new BrokerConfiguration().Device("sim0", "256KiB").Set("restart", "preserve").Set("metrics", "enabled", true).Set("metrics", "address", "127.0.0.1:0");
        _manager = Own(new ServiceManager(directory.Path, configuration.Write(directory.Path)));
        await _manager.StartAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Restart_RecallAfterwards_IsHeardByTheFdChannelAndAcknowledgedThere(bool isKilled)
    {
        // Its next heartbeat would come in 20 minutes, and so would its next question.
        using var client = Tool.Start(
            [BrokerProgram.Find("BarBroker.LeaseProbe", "leaseprobe"), "work", "sim0", "4096", "ttl=3600", "recall=acknowledge"], null, ("BARBROKER_RUNTIME_DIR", _manager.RuntimeDirectory));
        string lease = (await client.LineAsync("leased ")).Split(' ')[1];
        for (int i = 0; i < 2; i++)
        {
            await (isKilled ? _manager.KillAsync() : _manager.StopAsync());
            await _manager.StartAsync();
            await Wait.Until(IsConnected, "the client has connected its fd channel again", Patience.Long);
        }

        string[] before = await CallsAsync();

        await BarctlAsync("lease", "recall", lease, "--grace", "5m", "--no-wait");

        Assert.StartsWith("recalled Operator ", await client.LineAsync("recalled "), StringComparison.Ordinal);
        await Wait.Until(async () => (await GetAsync(lease)).RecallAcknowledged, "the recall is acknowledged", Patience.Long);
        Assert.Equal(before, await CallsAsync());

        // And so is the end.
        await BarctlAsync("lease", "revoke", lease);
        await client.LineAsync("lost Operator");
        Assert.Equal(0, await client.WaitAsync(Patience.Long));
    }

    /// <summary>What the kernel has of the daemon's fd socket: the listener, and each connection that was accepted.</summary>
    private bool IsConnected()
    {
        string path = Path.Combine(_manager.RuntimeDirectory, "fd.sock");
        // Num RefCount Protocol Flags Type St Inode Path: 03 is connected.
        return File.ReadLines("/proc/net/unix").Select(static line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Any(socket => socket is [_, _, _, _, _, "03", _, var name] && name == path);
    }

    /// <summary>How often each call was answered that a client could hear of a recall by, or acknowledge it with.</summary>
    private async Task<string[]> CallsAsync()
    {
        using var rpc = RpcClient.Dial(_manager.OperatorSocket);
        using var http = new HttpClient();
        string scrape = await http.GetStringAsync(new Uri((await rpc.Operator.GetStatusAsync(new GetStatusRequest(), deadline: DateTime.UtcNow + Patience.Long)).MetricsUrl), Cancellation);
        return [.. Calls.Select(call => Regex.Match(scrape, string.Create(CultureInfo.InvariantCulture, $@"(?m)^barbroker_rpc_calls_total\{{[^}}]*{call}""[^}}]*\}} \d+")).Value)];
    }

    private async Task<Lease> GetAsync(string lease)
    {
        using var rpc = RpcClient.Dial(_manager.OperatorSocket);
        return (await rpc.Operator.GetLeaseAsync(new OperatorGetLeaseRequest { LeaseId = lease }, deadline: DateTime.UtcNow + Patience.Long)).Lease;
    }

    private Task<string> BarctlAsync(params string[] arguments) =>
        Tool.RunAsync(["env", $"BARBROKER_RUNTIME_DIR={_manager.RuntimeDirectory}", BrokerProgram.Find("BarBroker.Cli", "barctl"), .. arguments]);
}
