// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;
using static BarBroker.Tests.Leases.LeaseFixture;

namespace BarBroker.Tests.Leases;

/// <summary>With real threads and real time.</summary>
public sealed class LeaseThreadTests
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Shutdown_WithLeases_ProvesTheEndOfAllAndClosesTheDevice()
    {
        CancellationToken token = TestContext.Current.CancellationToken;
        var device = new FakeDevice("dev0");
        await using var manager = new LeaseManager(new LeaseOptions(), [new DeviceRegistration(device)], 1, TimeProvider.System);
        manager.Start();
        await manager.WaitFirstOpenAsync(token).WaitAsync(Timeout, token);
        Grant grant = await manager.AcquireAsync(Explicit(Pages(0, 4)), Owner(), token).AsTask().WaitAsync(Timeout, token);
        manager.Redeem(grant.Ticket.Span, 1000);

        await manager.ShutdownAsync(token).WaitAsync(Timeout, token);

        LeaseInfo lease = manager.Get(grant.Lease.Id);
        Assert.Equal((LeaseState.Ended, EndReason.BrokerShutdown), (lease.State, lease.EndReason));
        Assert.Empty(device.Accessible);
        Assert.Equal(1, device.Closes - 1); // The one before the first open closes nothing.
        LeaseException e = await Assert.ThrowsAsync<LeaseException>(() => manager.AcquireAsync(Explicit(Pages(0, 4)), Owner(), token).AsTask());
        Assert.Equal(LeaseError.Unavailable, e.Error);
        await manager.DisposeAsync();
        Assert.True(device.Disposed);
        Assert.Empty(device.Violations);
    }

    [Fact]
    public async Task Acquire_OneDeviceBlocked_OthersGoOnAndItCanBeCancelled()
    {
        CancellationToken token = TestContext.Current.CancellationToken;
        var blocked = new FakeDevice("dev0");
        var free = new FakeDevice("dev1");
        using var gate = new ManualResetEventSlim();
        await using var manager = new LeaseManager(new LeaseOptions(), [new DeviceRegistration(blocked), new DeviceRegistration(free)], 1, TimeProvider.System);
        manager.Start();
        await manager.WaitFirstOpenAsync(token).WaitAsync(Timeout, token);
        blocked.OnCall = call => { if (call == "Export") gate.Wait(Timeout, CancellationToken.None); };
        using var cancel = new CancellationTokenSource();

        Task<Grant> waiting = manager.AcquireAsync(Explicit(Pages(0, 4)), Owner(), cancel.Token).AsTask();
        Grant other = await manager.AcquireAsync(Explicit(Pages(0, 4)) with { Device = "dev1" }, Owner(), token).AsTask().WaitAsync(Timeout, token);
        await manager.ReleaseAsync(other.Lease.Id, 1000, token).WaitAsync(Timeout, token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting.WaitAsync(Timeout, token));

        gate.Set();
        await manager.ResetDeviceAsync("dev0", "", token).WaitAsync(Timeout, token);
        Assert.Empty(blocked.Accessible);
        Assert.Equal(2, manager.EndedCount);
    }
}
