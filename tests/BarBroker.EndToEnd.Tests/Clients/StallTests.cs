// SPDX-License-Identifier: Apache-2.0

using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Testing;
using BarBroker.V1;
using Mono.Unix.Native;

namespace BarBroker.EndToEnd.Tests.Clients;

/// <summary>A broker that is itself stopped for longer than its leases live.</summary>
public sealed partial class StallTests : ClientsTestBase
{
    private static readonly TimeSpan Ttl = TimeSpan.FromSeconds(4);

    [Fact]
    public async Task Broker_StoppedForLongerThanTheTtl_OnlyThoseLoseTheirLeaseWhoGaveNoSignOfLife()
    {
        int port = FreePort();
        await StartAsync(OneDevice().Set("metrics", "enabled", true).Set("metrics", "address", $"127.0.0.1:{port}"));
        var beats = await HoldAsync(await ProcessAsync("beats", Alice), Pages(1, Ttl));
        var dies = await HoldAsync(await ProcessAsync("dies", Alice), Pages(1, Ttl));
        var silent = await HoldAsync(await ProcessAsync("silent", Bob), Pages(1, Ttl));
        var (works, worked) = await WorkAsync($"ttl={Ttl.TotalSeconds}", $"hang={Ttl.TotalSeconds}");

        Assert.Equal(0, Syscall.kill(Broker.Pid, Signum.SIGSTOP));
        try
        {
            await silent.Process.AskAsync("beat off");
            dies.Process.Signal(Signum.SIGKILL);

            // What is tested is that this time passes.
            await Task.Delay(Ttl + TimeSpan.FromSeconds(1.5), Cancellation);
        }
        finally
        {
            Assert.Equal(0, Syscall.kill(Broker.Pid, Signum.SIGCONT));
        }

        Assert.Equal(EndReason.ClientExited, (await EndOfAsync(dies.Lease.Id)).EndReason);
        Assert.Equal(EndReason.Expired, (await EndOfAsync(silent.Lease.Id)).EndReason);
        int renewed = beats.Renewed;
        await Wait.Until(() => beats.Renewed > renewed + 3, "heartbeats are answered again", Patience.Long);
        Assert.Equal((LeaseState.Active, LeaseState.Active), ((await beats.GetAsync()).State, (await LookAsync(worked)).State));
        Assert.DoesNotContain("lost", works.Output, StringComparison.Ordinal);
        Assert.InRange(await StallsAsync(port), 1, 99);
        Assert.Empty(Broker.Errors);
    }

    private static async Task<int> StallsAsync(int port)
    {
        using var http = new HttpClient();
        string text = await http.GetStringAsync(new Uri($"http://127.0.0.1:{port}/metrics"), Cancellation);
        return StallsPattern().Match(text) is { Success: true } match ? int.Parse(match.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture) : 0;
    }

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    [GeneratedRegex(@"^barbroker_sweep_stalls_total(?:\{[^}]*\})? (\d+)", RegexOptions.Multiline)]
    private static partial Regex StallsPattern();
}
