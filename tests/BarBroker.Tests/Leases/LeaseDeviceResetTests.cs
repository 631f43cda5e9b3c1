// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Leases;
using static BarBroker.Tests.Leases.LeaseFixture;

namespace BarBroker.Tests.Leases;

/// <summary>A reset that gives the holders time.</summary>
public class LeaseDeviceResetTests
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(10);

    [Fact]
    public void Reset_WithGrace_RecallsAndResetsAtTheDeadline()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(Explicit(Pages(0, 1)));

        Task<int> reset = Reset(f, Grace);
        Assert.Equal((LeaseState.Recalled, Grace, EndReason.DeviceReset), (f.Get(lease.Id).State, f.Get(lease.Id).RecallRemaining, f.Get(lease.Id).RecallReason));
        Assert.Equal((DeviceState.Leaving, "to be reset: by olga; its leases are recalled, and revoked after 10 s"), (f.Manager.Device("dev0").State, f.Manager.Device("dev0").Detail));
        Assert.Equal(LeaseError.Unavailable, f.Refused(Explicit(Pages(5, 1))).Error);
        f.Pass(Grace);
        f.Pump();

        Assert.Equal(1, Wait(reset));
        Assert.Equal((LeaseState.Ended, EndReason.DeviceReset, "by olga"), (f.Get(lease.Id).State, f.Get(lease.Id).EndReason, f.Get(lease.Id).EndDetail));
        Assert.Equal((DeviceState.Ready, 1, 2), (f.Manager.Device("dev0").State, f.Device.Resets, f.Manager.Device("dev0").Generation));
    }

    [Fact]
    public void Reset_LastLeaseReleased_ResetsAtOnce()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(Explicit(Pages(0, 1)));
        Task<int> reset = Reset(f, Grace);

        Task<LeaseInfo> release = f.Manager.ReleaseAsync(lease.Id, lease.Owner.Uid, CancellationToken.None);
        f.Pump();

        Assert.Equal(EndReason.Released, Wait(release).EndReason);
        Assert.Equal((1, 1), (Wait(reset), f.Device.Resets));
    }

    [Fact]
    public void Reset_NobodyHoldsAnything_DoesNotWait()
    {
        using var f = new LeaseFixture();

        Assert.Equal((0, 1), (Wait(Reset(f, Grace)), f.Device.Resets));
    }

    [Fact]
    public void Reset_AgainAtOnce_EndsTheGraceForBoth()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(Explicit(Pages(0, 1)));
        Task<int> patient = Reset(f, Grace), later = Reset(f, Grace * 2);
        Assert.Equal(Grace, f.Get(lease.Id).RecallRemaining);

        Task<int> impatient = Reset(f, TimeSpan.Zero);

        Assert.Equal((1, 1, 1), (Wait(patient), Wait(later), Wait(impatient)));
        Assert.Equal(1, f.Device.Resets);
    }

    [Fact]
    public void Reset_KernelAsksMeanwhile_GivesTheDeviceBack()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(Explicit(Pages(0, 1)));
        Task<int> reset = Reset(f, Grace);
        f.Device.FailOpen = true;

        f.Device.Raise(DeviceSignal.Requested, "it is being unbound");
        Assert.Equal((DeviceState.Leaving, EndReason.DeviceLost), (f.Manager.Device("dev0").State, f.Get(lease.Id).RecallReason));
        f.Pass(Grace);
        f.Pump();
        f.Pass(TimeSpan.FromSeconds(1));
        f.Pump();

        Assert.Equal(LeaseError.Unavailable, Assert.Throws<LeaseException>(() => Wait(reset)).Error);
        Assert.Equal((EndReason.DeviceLost, DeviceState.Unavailable), (f.Get(lease.Id).EndReason, f.Manager.Device("dev0").State));
    }

    [Fact]
    public void Reset_ShutdownMeanwhile_IsRefused()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(Explicit(Pages(0, 1)));
        Task<int> reset = Reset(f, Grace);

        Task shutdown = f.Manager.ShutdownAsync(CancellationToken.None);
        f.Pump();

        Assert.True(shutdown.IsCompletedSuccessfully);
        Assert.Throws<LeaseException>(() => Wait(reset));
        Assert.Equal((EndReason.BrokerShutdown, 0), (f.Get(lease.Id).EndReason, f.Device.Resets));
    }

    private static Task<int> Reset(LeaseFixture f, TimeSpan grace)
    {
        Task<int> reset = f.Manager.ResetDeviceAsync("dev0", grace, "by olga", CancellationToken.None);
        f.Pump();
        return reset;
    }
}
