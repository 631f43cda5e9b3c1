// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Leases;
using static BarBroker.Tests.Leases.LeaseFixture;

namespace BarBroker.Tests.Leases;

/// <summary>What counts as proof, and what happens without one.</summary>
public sealed class LeaseRevokeTests
{
    private static readonly AcquireRequest FourPages = Explicit(Pages(0, 4));

    [Fact]
    public void Revoke_Fails_IsStuckQuarantinedAndTriedAgain()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(FourPages);
        f.Device.FailRevoke = true;

        LeaseInfo stuck = Release(f, lease.Id);

        Assert.Equal((LeaseState.Stuck, 1), (stuck.State, stuck.RevokeAttempts));
        Assert.Equal("VFIO_DEVICE_FEATURE_DMA_BUF_REVOKE dev0: EBUSY", stuck.RevokeError);
        for (int i = 0; i < 20; i++)
        {
            f.Pass(TimeSpan.FromSeconds(1));
            f.Pump();
        }

        Assert.InRange(f.Get(lease.Id).RevokeAttempts, 6, 10);
        Assert.Equal(LeaseError.NoRoom, f.Refused(FourPages).Error);
        f.Device.FailRevoke = false;
        f.Pass(TimeSpan.FromSeconds(31));
        f.Pump();
        Assert.Equal((LeaseState.Ended, EndReason.Released), (f.Get(lease.Id).State, f.Get(lease.Id).EndReason));
        f.Acquire(FourPages);
    }

    [Fact]
    public void Revoke_DoesNotReturn_IsStuckAfterTheTimeoutAndEndsWhenItDoes()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(FourPages);
        Task<LeaseInfo> release = f.Manager.ReleaseAsync(lease.Id, 1000, CancellationToken.None);
        f.Pass(TimeSpan.FromSeconds(4.75));
        Assert.False(release.IsCompleted);
        f.Pass(TimeSpan.FromSeconds(0.25));

        LeaseInfo stuck = Wait(release);
        Assert.Equal((LeaseState.Stuck, 1, "no answer for 5 s; still waiting for it"), (stuck.State, stuck.RevokeAttempts, stuck.RevokeError));
        f.Pass(TimeSpan.FromMinutes(1));
        f.Pump();
        Assert.Equal((LeaseState.Ended, 1), (f.Get(lease.Id).State, f.Device.Revokes));
    }

    [Fact]
    public void Revoke_WaitsBehindOthersThatAreAnswered_IsNotStuckUntilNoneIs()
    {
        using var f = new LeaseFixture();
        LeaseInfo[] leases = [.. Enumerable.Range(0, 3).Select(i => f.Active(Explicit(Pages((ulong)i, 1))))];
        Array.ForEach(leases, l => f.Manager.End(l.Id, EndReason.Operator, ""));
        f.Pass(TimeSpan.FromSeconds(4));
        f.Executor("dev0").PumpOne();

        f.Pass(TimeSpan.FromSeconds(4.75));
        Assert.Equal([LeaseState.Ended, LeaseState.Revoking, LeaseState.Revoking], leases.Select(l => f.Get(l.Id).State));
        f.Pass(TimeSpan.FromSeconds(0.25));
        Assert.Equal([LeaseState.Ended, LeaseState.Stuck, LeaseState.Stuck], leases.Select(l => f.Get(l.Id).State));
    }

    [Fact]
    public void Export_FailsInTheMiddle_RevokesWhatWasExported()
    {
        using var f = new LeaseFixture();
        f.Device.ExportsUntilFailure = 1;

        LeaseException e = f.Refused(Request(new BufferRequest(0, [Pages(0, 1)]), new BufferRequest(0, [Pages(1, 1)])));

        Assert.Equal(LeaseError.Unavailable, e.Error);
        Assert.Contains("ENOMEM", e.Message, StringComparison.Ordinal);
        Assert.Equal(1, f.Device.Revokes);
        Assert.Equal(f.Device.BarSize, f.Manager.Device("dev0").Bars[0].Free);
    }

    [Fact]
    public void Acquire_CancelledWhileExporting_IsRevokedBeforeTheRangeIsFree()
    {
        using var f = new LeaseFixture();
        using var cancel = new CancellationTokenSource();
        LeaseState during = default;
        f.Device.OnCall = call =>
        {
            if (call != nameof(IBarDevice.Export))
                return;
            cancel.Cancel();
            SpinWait.SpinUntil(() => f.Manager.List(LeaseFilter.All).All(static l => l.State == LeaseState.Revoking), TimeSpan.FromSeconds(20));
            during = f.Manager.List(LeaseFilter.All).Single().State;
        };
        Task<Grant> acquire = f.Manager.AcquireAsync(FourPages, Owner(), cancel.Token).AsTask();

        f.Pump();

        Assert.ThrowsAny<OperationCanceledException>(() => Wait(acquire));
        Assert.Equal((LeaseState.Revoking, 1), (during, f.Device.Revokes));
        Assert.Empty(f.Manager.List(LeaseFilter.All));
        Assert.Empty(f.Device.Accessible);
    }

    [Fact]
    public void Acquire_CancelledBeforeTheExport_FreesTheRangeAtOnce()
    {
        using var f = new LeaseFixture();
        using var cancel = new CancellationTokenSource();
        Task<Grant> acquire = f.Manager.AcquireAsync(FourPages, Owner(), cancel.Token).AsTask();
        cancel.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(() => Wait(acquire));

        Assert.Empty(f.Manager.List(LeaseFilter.All));
        Assert.Equal(f.Device.BarSize, f.Manager.Device("dev0").Bars[0].Free);
        f.Pump();
        Assert.Empty(f.Device.Accessible);
    }

    [Fact]
    public void DeviceDomain_OneLeaseEnds_EndsTheOthersAndReopens()
    {
        using var f = new LeaseFixture(null, new FakeDevice("dev0", RevocationDomain.Device));
        LeaseInfo first = f.Active(Explicit(Pages(0, 1))), second = f.Active(Explicit(Pages(1, 1)));

        LeaseInfo ended = Release(f, first.Id);

        Assert.Equal((LeaseState.Ended, EndReason.Released), (ended.State, ended.EndReason));
        LeaseInfo collateral = f.Get(second.Id);
        Assert.Equal((LeaseState.Ended, EndReason.DeviceReset), (collateral.State, collateral.EndReason));
        Assert.Contains(first.Id, collateral.EndDetail, StringComparison.Ordinal);
        Assert.Equal((DeviceState.Ready, 2), (f.Manager.Device("dev0").State, f.Manager.Device("dev0").Generation));
        f.Active(Explicit(Pages(0, 2)));
    }

    [Fact]
    public void DeviceDomain_AcquireWhileTheCloseIsQueued_SurvivesIt()
    {
        using var f = new LeaseFixture(null, new FakeDevice("dev0", RevocationDomain.Device));
        LeaseInfo first = f.Active(Explicit(Pages(0, 1)));
        Task<Grant> before = f.Manager.AcquireAsync(Explicit(Pages(1, 1)), Owner(), CancellationToken.None).AsTask();
        f.Manager.End(first.Id, EndReason.Operator, "");
        Task<Grant> after = f.Manager.AcquireAsync(Explicit(Pages(2, 1)), Owner(), CancellationToken.None).AsTask();

        f.Pump();

        Assert.Equal((LeaseState.Granted, LeaseState.Granted), (f.Get(Wait(before).Lease.Id).State, f.Get(Wait(after).Lease.Id).State));
        Assert.Equal(2, f.Device.Accessible.Length);
    }

    [Fact]
    public void DeviceDomain_AnotherUid_IsRefusedUnlessSharingIsAllowed()
    {
        using var alone = new LeaseFixture(null, new FakeDevice("dev0", RevocationDomain.Device));
        using var shared = new LeaseFixture(null, [new DeviceRegistration(new FakeDevice("dev0", RevocationDomain.Device), AllowSharing: true)]);
        LeaseInfo holder = alone.Active(Explicit(Pages(0, 1)));
        shared.Active(Explicit(Pages(0, 1)));

        LeaseException e = alone.Refused(Explicit(Pages(1, 1)), Owner(1001));
        shared.Active(Explicit(Pages(1, 1)), Owner(1001));

        Assert.Equal((LeaseError.NoRoom, holder.Id), (e.Error, e.LeaseId));
    }

    [Fact]
    public void NoneDomain_Acquire_IsUnavailable()
    {
        using var f = new LeaseFixture(null, new FakeDevice("dev0", RevocationDomain.None));

        Assert.Equal(LeaseError.Unavailable, f.Refused(FourPages).Error);
    }

    [Fact]
    public void Close_Throws_ProvesNothing()
    {
        using var f = new LeaseFixture(null, new FakeDevice("dev0", RevocationDomain.Device));
        LeaseInfo lease = f.Active(FourPages);
        f.Device.FailClose = true;

        Assert.Equal(LeaseState.Stuck, Release(f, lease.Id).State);
        Assert.Equal(4 * Page, f.Manager.Device("dev0").Bars[0].Quarantined);
        Assert.Equal(LeaseError.Unavailable, f.Refused(Explicit(Pages(8, 1))).Error);

        f.Device.FailClose = false;
        f.Pass(TimeSpan.FromSeconds(1));
        f.Pump();
        Assert.Equal(LeaseState.Ended, f.Get(lease.Id).State);
        Assert.Equal(DeviceState.Ready, f.Manager.Device("dev0").State);
    }

    [Fact]
    public void Reopen_Fails_LeasesAreEndedAndTheDeviceIsTriedAgain()
    {
        using var f = new LeaseFixture(null, new FakeDevice("dev0", RevocationDomain.Device));
        LeaseInfo lease = f.Active(FourPages);
        f.Device.FailOpen = true;

        Assert.Equal(LeaseState.Ended, Release(f, lease.Id).State);
        Assert.Equal((DeviceState.Unavailable, "open failed: open dev0: EIO"), (f.Manager.Device("dev0").State, f.Manager.Device("dev0").Detail));

        f.Device.FailOpen = false;
        f.Pass(TimeSpan.FromSeconds(1));
        f.Pump();
        Assert.Equal(DeviceState.Ready, f.Manager.Device("dev0").State);
    }

    [Fact]
    public void Lost_Device_EndsItsLeasesClosesAndComesBackLater()
    {
        using var f = new LeaseFixture(null, new FakeDevice("dev0"), new FakeDevice("dev1"));
        LeaseInfo lease = f.Active(FourPages), other = f.Active(FourPages with { Device = "dev1" });

        f.Device.RaiseLost("unplugged");
        Assert.Equal((LeaseState.Revoking, EndReason.DeviceLost), (f.Get(lease.Id).State, f.Get(lease.Id).EndReason));
        f.Pump();

        Assert.Equal(LeaseState.Ended, f.Get(lease.Id).State);
        Assert.Equal((DeviceState.Unavailable, "lost: unplugged"), (f.Manager.Device("dev0").State, f.Manager.Device("dev0").Detail));
        Assert.Equal((0, 1), (f.Device.Revokes, f.Device.Opens));
        f.Pass(TimeSpan.FromSeconds(1));
        f.Pump();
        Assert.Equal((DeviceState.Ready, 2), (f.Manager.Device("dev0").State, f.Device.Opens));
        Assert.Equal(LeaseState.Active, f.Get(other.Id).State);
    }

    [Fact]
    public void Reset_StuckLease_IsFreedByTheClose()
    {
        using var f = new LeaseFixture();
        LeaseInfo stuck = f.Active(FourPages), other = f.Active(Explicit(Pages(8, 1)));
        f.Device.FailRevoke = true;
        Release(f, stuck.Id);

        Task<int> reset = f.Manager.ResetDeviceAsync("dev0", "by root", CancellationToken.None);
        f.Pump();

        Assert.Equal(2, Wait(reset));
        Assert.Equal((LeaseState.Ended, EndReason.Released), (f.Get(stuck.Id).State, f.Get(stuck.Id).EndReason));
        Assert.Equal((LeaseState.Ended, EndReason.DeviceReset), (f.Get(other.Id).State, f.Get(other.Id).EndReason));
        Assert.Equal((1, DeviceState.Ready, 2), (f.Device.Resets, f.Manager.Device("dev0").State, f.Manager.Device("dev0").Generation));
    }

    [Fact]
    public void Reset_DeviceRefuses_SaysSoAndTriesAgain()
    {
        using var f = new LeaseFixture();
        f.Device.FailReset = true;
        Task<int> reset = f.Manager.ResetDeviceAsync("dev0", "by root", CancellationToken.None);
        f.Pump();

        Assert.Equal(LeaseError.Unavailable, Assert.Throws<LeaseException>(() => Wait(reset)).Error);
        Assert.Equal(DeviceState.Unavailable, f.Manager.Device("dev0").State);
        f.Device.FailReset = false;
        f.Pass(TimeSpan.FromSeconds(1));
        f.Pump();
        Assert.Equal((1, DeviceState.Ready), (f.Device.Resets, f.Manager.Device("dev0").State));
    }

    [Fact]
    public void Cordon_Device_RefusesNewLeasesAndKeepsOldOnes()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(FourPages);

        Assert.Equal(DeviceState.Cordoned, f.Manager.Cordon("dev0", "maintenance").State);
        LeaseException e = f.Refused(Explicit(Pages(8, 1)));
        Assert.Equal((LeaseError.Unavailable, LeaseState.Active), (e.Error, f.Get(lease.Id).State));
        Assert.Contains("maintenance", e.Message, StringComparison.Ordinal);

        Assert.Equal(DeviceState.Ready, f.Manager.Uncordon("dev0").State);
        f.Active(Explicit(Pages(8, 1)));
        Assert.Equal([DeviceState.Ready, DeviceState.Cordoned, DeviceState.Ready], f.ToldDevices.Select(static d => d.State));
    }

    [Fact]
    public void Acquire_AnyDevice_TakesTheFirstThatFits()
    {
        using var f = new LeaseFixture(null, new FakeDevice("dev0"), new FakeDevice("dev1"));
        f.Active(Explicit(Pages(0, 256)));

        Assert.Equal("dev1", f.Active(Sized(8 * Page) with { Device = "" }).Device);
        f.Manager.Cordon("dev1", "");
        Assert.Equal((LeaseError.NoRoom, "dev0"), (f.Refused(Sized(8 * Page) with { Device = "" }).Error, f.Refused(Sized(8 * Page) with { Device = "" }).Device));
    }

    private static LeaseInfo Release(LeaseFixture f, string id)
    {
        Task<LeaseInfo> release = f.Manager.ReleaseAsync(id, 1000, CancellationToken.None);
        f.Pump();
        return Wait(release);
    }
}
