// SPDX-License-Identifier: Apache-2.0

using BarBroker.Testing;
using BarBroker.V1;

namespace BarBroker.Client.Tests;

public sealed class LossTests(BrokerFixture fixture) : ClientTestBase, IClassFixture<BrokerFixture>
{
    [Fact]
    public async Task Lost_Revoked_IsRaisedOnceAndCopiesThrow()
    {
        var client = await ConnectAsync(fixture.Broker);
        await using var lease = await client.AcquireAsync(LeaseRequest.OfSize("sim0", 8192), Cancellation);
        using var mapping = lease.Buffers[0].Map();
        mapping.CopyFrom(0, new byte[8192]);
        var raised = new List<LeaseLostEventArgs>();
        var first = new TaskCompletionSource();
        lease.Lost += (_, args) =>
        {
            raised.Add(args);
            first.TrySetResult();
        };

        var ended = await RevokeAsync(fixture.Broker, lease);

        Assert.Equal(LeaseState.Ended, ended.State);
        Assert.Equal(0ul, Assert.Throws<LeaseLostException>(() => mapping.CopyTo(0, new byte[8192])).Copied);
        Assert.Equal(0ul, Assert.Throws<LeaseLostException>(() => mapping.CopyFrom(0, new byte[8192])).Copied);
        await Wait.For(first.Task, "Lost is raised");
        Assert.True(lease.LostToken.IsCancellationRequested);
        await Wait.Until(() => lease.State == LeaseState.Ended, "the lease is known to have ended");
        var lost = Assert.Throws<LeaseLostException>(() => lease.Buffers[0].Map());
        Assert.Equal((lease.Id, EndReason.Operator), (lost.LeaseId, lost.Reason));
        Assert.Contains("a test", lost.Message, StringComparison.Ordinal);

        var late = new TaskCompletionSource<LeaseLostEventArgs>();
        lease.Lost += (_, args) => late.SetResult(args);
        Assert.Equal(EndReason.Operator, (await Wait.For(late.Task, "a late handler is called")).Reason);
        Assert.Equal(EndReason.Operator, Assert.Single(raised).Reason);
    }

    [Fact]
    public async Task Lost_HandlerDisposesTheClient_DoesNotHang()
    {
        var client = await ConnectAsync(fixture.Broker);
        // Disposed after its client, which closes the descriptors only of leases that are not over.
        await using var lease = await client.AcquireAsync(LeaseRequest.OfSize("sim0", 4096), Cancellation);
        var disposed = new TaskCompletionSource();
        lease.Lost += (_, _) =>
        {
            client.DisposeAsync().AsTask().GetAwaiter().GetResult();
            disposed.SetResult();
        };

        await RevokeAsync(fixture.Broker, lease);

        await Wait.For(disposed.Task, "the handler disposed the client");
    }

    [Fact]
    public async Task Recalled_ReleasedInTime_IsNotLost()
    {
        var client = await ConnectAsync(fixture.Broker);
        await using var lease = await client.AcquireAsync(LeaseRequest.OfSize("sim0", 4096), Cancellation);
        var recalled = new TaskCompletionSource<LeaseRecalledEventArgs>();
        bool lost = false;
        lease.Recalled += (_, args) => recalled.SetResult(args);
        lease.Lost += (_, _) => lost = true;

        await RevokeAsync(fixture.Broker, lease, TimeSpan.FromSeconds(30), wait: false);

        var args = await Wait.For(recalled.Task, "Recalled is raised");
        Assert.InRange(args.Remaining, TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(30));
        Assert.Equal(LeaseState.Recalled, lease.State);
        Assert.Equal(LeaseState.Ended, await lease.ReleaseAsync(Cancellation));
        Assert.False(lost);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Recalled_Acknowledged_OperatorsSeeIt(bool waits)
    {
        var client = await ConnectAsync(fixture.Broker);
        await using var lease = await client.AcquireAsync(LeaseRequest.OfSize("sim0", 4096), Cancellation);
        lease.Recalled += (_, args) =>
        {
            if (waits)
            {
                lease.AcknowledgeRecallAsync(Cancellation).GetAwaiter().GetResult();
            }
            else
            {
                args.Acknowledge();
            }
        };

        var recalled = await RevokeAsync(fixture.Broker, lease, TimeSpan.FromSeconds(30), wait: false);

        Assert.False(recalled.RecallAcknowledged);
        await Wait.Until(async () => (await Operator(fixture.Broker).GetLeaseAsync(new OperatorGetLeaseRequest { LeaseId = lease.Id }, cancellationToken: Cancellation)).Lease.RecallAcknowledged, "operators see it");
    }

    [Fact]
    public async Task Recalled_NotReleased_IsLostAfterTheGrace()
    {
        var client = await ConnectAsync(fixture.Broker);
        await using var lease = await client.AcquireAsync(LeaseRequest.OfSize("sim0", 4096), Cancellation);
        var order = new List<string>();
        var lost = new TaskCompletionSource();
        lease.Recalled += (_, _) => order.Add("recalled");
        lease.Lost += (_, _) =>
        {
            order.Add("lost");
            lost.SetResult();
        };

        await RevokeAsync(fixture.Broker, lease, TimeSpan.FromMilliseconds(200));

        await Wait.For(lost.Task, "Lost is raised");
        Assert.Equal(["recalled", "lost"], order);
    }

    [Fact]
    public async Task Pulse_WorkLoop_KeepsTheLeaseUntilItStops()
    {
        var client = await ConnectAsync(fixture.Broker);
        await using var lease = await client.AcquireAsync(LeaseRequest.OfSize("sim0", 4096) with { Ttl = TimeSpan.FromSeconds(1.5) }, Cancellation);
        var lost = new TaskCompletionSource<LeaseLostEventArgs>();
        lease.Lost += (_, args) => lost.SetResult(args);

        using (var working = new CancellationTokenSource(lease.Ttl * 3))
        {
            while (!working.IsCancellationRequested && !lost.Task.IsCompleted)
            {
                lease.Pulse();
                await Task.Delay(10, Cancellation);
            }
        }

        Assert.False(lost.Task.IsCompleted, "the lease was lost although the loop pulsed");
        Assert.Equal(EndReason.Expired, (await Wait.For(lost.Task, "the lease of a loop that stopped pulsing is lost")).Reason);
    }

    [Fact]
    public async Task KeepAlive_WhileProcessLives_NeedsNoPulse()
    {
        var client = await ConnectAsync(fixture.Broker);
        var request = LeaseRequest.OfSize("sim0", 4096) with
        {
            Ttl = TimeSpan.FromSeconds(1.5),
            HangLimit = TimeSpan.FromSeconds(1.5),
            KeepAlive = KeepAliveMode.WhileProcessLives,
        };
        await using var lease = await client.AcquireAsync(request, Cancellation);
        var lost = new TaskCompletionSource();
        lease.Lost += (_, _) => lost.SetResult();

        Assert.NotSame(lost.Task, await Task.WhenAny(lost.Task, Task.Delay(lease.Ttl * 3, Cancellation)));
    }

    [Fact]
    public async Task ReleaseAsync_DeviceDoesNotConfirm_IsStuck()
    {
        var client = await ConnectAsync(fixture.Broker);
        var lease = await client.AcquireAsync(LeaseRequest.OfSize("sim0", 4096), Cancellation);
        await File.WriteAllTextAsync(fixture.Broker.FaultsFile, "revoke fail EIO\n", Cancellation);
        try
        {
            Assert.Equal(LeaseState.Stuck, await lease.ReleaseAsync(Cancellation));
            Assert.Equal(LeaseState.Stuck, lease.State);
        }
        finally
        {
            File.Delete(fixture.Broker.FaultsFile);
            await Operator(fixture.Broker).ResetDeviceAsync(new ResetDeviceRequest { Device = "sim0" }, cancellationToken: Cancellation);
        }

        await lease.DisposeAsync();
    }
}
