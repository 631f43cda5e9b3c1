// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using BarBroker.Testing;
using BarBroker.V1;
using Mono.Unix.Native;

namespace BarBroker.Client.Tests;

public sealed class BrokerRestartTests : ClientTestBase
{
    [Fact]
    public async Task ConnectAsync_NoBroker_SaysWhichSocket()
    {
        var options = new BrokerClientOptions { RuntimeDirectory = "/nonexistent" };

        var unavailable = await Assert.ThrowsAsync<BrokerUnavailableException>(() => BrokerClient.ConnectAsync(options, Cancellation));

        Assert.Equal("/nonexistent/broker.sock", unavailable.SocketPath);
        Assert.Contains("barbrokerd", unavailable.Message, StringComparison.Ordinal);
        Assert.False(unavailable.IsAccessDenied);
    }

    [Fact]
    public async Task ConnectAsync_PathTooLong_SaysSo()
    {
        var options = new BrokerClientOptions { RuntimeDirectory = $"/{new string('x', 110)}" };

        var unavailable = await Assert.ThrowsAsync<BrokerUnavailableException>(() => BrokerClient.ConnectAsync(options, Cancellation));

        Assert.Contains("longer", unavailable.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Connection_Idle_StaysOpen()
    {
        var broker = Own(await BrokerProcess.StartAsync());
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(BrokerChannel.Address(BrokerPaths.ClientSocket(broker.RuntimeDirectory)), Cancellation);
        // The preface of HTTP/2 with empty settings (RFC 9113, 3.4), and then nothing more.
        await socket.SendAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0"u8.ToArray(), Cancellation);

        using var idle = new CancellationTokenSource(TimeSpan.FromSeconds(3));
        var buffer = new byte[4096];
        var closed = async () =>
        {
            while (await socket.ReceiveAsync(buffer, idle.Token) > 0)
            {
            }
        };

        await Assert.ThrowsAnyAsync<OperationCanceledException>(closed);
    }

    [Fact]
    public async Task BrokerKilled_NobodyAnswers_TheLeaseIsLostByItsTtl()
    {
        var broker = Own(await BrokerProcess.StartAsync());
        var client = await ConnectAsync(broker);
        var lease = await client.AcquireAsync(LeaseRequest.OfSize("sim0", 4096) with { Ttl = TimeSpan.FromSeconds(1) }, Cancellation);
        var lost = new TaskCompletionSource<LeaseLostEventArgs>();
        lease.Lost += (_, args) => lost.SetResult(args);

        await broker.KillAsync();

        await Assert.ThrowsAsync<BrokerUnavailableException>(() => client.AcquireAsync(LeaseRequest.OfSize("sim0", 4096), Cancellation));
        Assert.Equal(EndReason.Expired, (await Wait.For(lost.Task, "Lost is raised")).Reason);
        await lease.DisposeAsync();
    }

    [Fact]
    public async Task BrokerStopped_AnswersNoMoreAndThenAgain_OnlyTheLeaseWhoseTtlIsOverIsLost()
    {
        var broker = Own(await BrokerProcess.StartAsync());
        var options = new BrokerClientOptions { RuntimeDirectory = broker.RuntimeDirectory, CallTimeout = TimeSpan.FromSeconds(2) };
        var client = Own(await BrokerClient.ConnectAsync(options, Cancellation));
        var unpulsed = await client.AcquireAsync(LeaseRequest.OfSize("sim0", 4096) with { Ttl = TimeSpan.FromSeconds(1) }, Cancellation);
        var kept = await client.AcquireAsync(LeaseRequest.OfSize("sim0", 4096) with { Ttl = TimeSpan.FromSeconds(8), KeepAlive = KeepAliveMode.WhileProcessLives }, Cancellation);
        var lost = new TaskCompletionSource<LeaseLostEventArgs>();
        unpulsed.Lost += (_, args) => lost.SetResult(args);

        Assert.Equal(0, Syscall.kill(broker.Pid, Signum.SIGSTOP));
        try
        {
            Assert.Contains("does not answer", (await Wait.For(lost.Task, "Lost is raised")).Detail, StringComparison.Ordinal);
        }
        finally
        {
            Assert.Equal(0, Syscall.kill(broker.Pid, Signum.SIGCONT));
        }

        var forOperator = Operator(broker);
        var before = TimeSpan.MaxValue;
        await Wait.Until(IsRenewed, "the other lease is renewed again");
        Assert.False(kept.LostToken.IsCancellationRequested);

        async Task<bool> IsRenewed()
        {
            var seen = (await forOperator.GetLeaseAsync(new OperatorGetLeaseRequest { LeaseId = kept.Id }, cancellationToken: Cancellation)).Lease;
            var remaining = seen.Remaining?.ToTimeSpan() ?? TimeSpan.Zero;
            bool isRenewed = remaining > before;
            before = remaining;
            return isRenewed;
        }
    }

    [Fact]
    public async Task BrokerRestarted_NewLeasesWorkAndOldOnesAreLost()
    {
        var broker = Own(await BrokerProcess.StartAsync());
        var client = await ConnectAsync(broker);
        var old = await client.AcquireAsync(LeaseRequest.OfSize("sim0", 4096), Cancellation);
        var lost = new TaskCompletionSource<LeaseLostEventArgs>();
        old.Lost += (_, args) => lost.SetResult(args);

        await broker.KillAsync();
        await broker.StartProcessAsync();

        await using var fresh = await client.AcquireAsync(LeaseRequest.OfSize("sim0", 4096), Cancellation);
        Assert.True(fresh.Epoch > old.Epoch, $"epoch {fresh.Epoch} after {old.Epoch}");
        Assert.Contains("restarted", (await Wait.For(lost.Task, "the old lease is lost")).Detail, StringComparison.Ordinal);
        using var mapping = fresh.Buffers[0].Map();
        mapping.CopyFrom(0, new byte[4096]);
        await old.DisposeAsync();
    }
}
