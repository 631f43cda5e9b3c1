// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Leases;
using static BarBroker.Tests.Leases.LeaseFixture;

namespace BarBroker.Tests.Leases;

/// <summary>A device that reports an uncorrectable error, and what brings it back.</summary>
public class LeaseDeviceErrorTests
{
    private const string Why = "an uncorrectable error";

    [Fact]
    public void Failed_LeasesLive_EndAtOnceAndTheDeviceIsCordoned()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(Explicit(Pages(0, 1)));

        Fail(f);

        Assert.Equal((LeaseState.Ended, EndReason.DeviceLost, Why), (f.Get(lease.Id).State, f.Get(lease.Id).EndReason, f.Get(lease.Id).EndDetail));
        Assert.DoesNotContain(f.Told, static told => told.State == LeaseState.Recalled);
        Assert.Equal((0, 2), (f.Device.Revokes, f.Device.Opens));
        DeviceInfo device = f.Manager.Device("dev0");
        Assert.Equal((DeviceState.Cordoned, CordonCause.Error), (device.State, Assert.Single(device.Cordons).Cause));
        LeaseException refusal = f.Refused(Explicit(Pages(0, 1)));
        Assert.Equal(LeaseError.Unavailable, refusal.Error);
        Assert.Contains("barctl device reset dev0", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Failed_Reset_PutsItBackIntoService()
    {
        using var f = new LeaseFixture();
        Fail(f);

        Task<int> reset = f.Manager.ResetDeviceAsync("dev0", "by olga", CancellationToken.None);
        f.Pump();

        Assert.Equal(0, Wait(reset));
        Assert.Equal((DeviceState.Ready, 1), (f.Manager.Device("dev0").State, f.Device.Resets));
        Assert.Equal(LeaseState.Active, f.Active(Explicit(Pages(0, 1))).State);
    }

    [Fact]
    public void Failed_ResetFails_StaysCordoned()
    {
        using var f = new LeaseFixture();
        Fail(f);
        f.Device.FailReset = true;
        Task<int> reset = f.Manager.ResetDeviceAsync("dev0", "by olga", CancellationToken.None);
        f.Pump();
        Assert.Equal(LeaseError.Unavailable, Assert.Throws<LeaseException>(() => Wait(reset)).Error);
        Assert.Equal(DeviceState.Unavailable, f.Manager.Device("dev0").State);
        Assert.Equal(CordonCause.Error, Assert.Single(f.Manager.Device("dev0").Cordons).Cause);

        // It is tried again, as was asked for.
        f.Device.FailReset = false;
        f.Pass(TimeSpan.FromSeconds(1));
        f.Pump();
        Assert.Equal((DeviceState.Ready, 1), (f.Manager.Device("dev0").State, f.Device.Resets));
    }

    [Fact]
    public void Failed_OperatorsCordon_OutlivesTheReset()
    {
        using var f = new LeaseFixture();
        f.Manager.Cordon("dev0", "maintenance");
        Fail(f);
        Assert.Equal([CordonCause.Operator, CordonCause.Error], f.Manager.Device("dev0").Cordons.Select(static c => c.Cause));

        _ = f.Manager.ResetDeviceAsync("dev0", "by olga", CancellationToken.None);
        f.Pump();

        Assert.Equal(CordonCause.Operator, Assert.Single(f.Manager.Device("dev0").Cordons).Cause);
    }

    [Fact]
    public void Failed_Uncordon_PutsItBackWithoutAReset()
    {
        using var f = new LeaseFixture();
        Fail(f);

        f.Manager.Uncordon("dev0");

        Assert.Equal((DeviceState.Ready, 0), (f.Manager.Device("dev0").State, f.Device.Resets));
    }

    [Fact]
    public void Failed_Waiters_WaitForTheReset()
    {
        using var f = new LeaseFixture();
        f.Active(Explicit(Pages(0, 1)));
        Task<Grant> waiting = f.Manager.AcquireAsync(Explicit(Pages(0, 1)) with { Wait = TimeSpan.FromMinutes(5) }, Owner(), CancellationToken.None).AsTask();
        Fail(f);
        Assert.False(waiting.IsCompleted);

        _ = f.Manager.ResetDeviceAsync("dev0", "by olga", CancellationToken.None);
        f.Pump();

        Assert.Equal(LeaseState.Granted, Wait(waiting).Lease.State);
    }

    [Fact]
    public void Failed_CloseFails_QuarantinesUntilItSucceeds()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(Explicit(Pages(0, 1)));
        f.Device.FailClose = true;
        Fail(f);
        Assert.Equal(LeaseState.Stuck, f.Get(lease.Id).State);

        f.Device.FailClose = false;
        f.Pass(TimeSpan.FromSeconds(1));
        f.Pump();

        Assert.Equal(LeaseState.Ended, f.Get(lease.Id).State);
        Assert.Contains(f.Manager.Device("dev0").Cordons, static c => c.Cause == CordonCause.Error);
    }

    [Fact]
    public void Failed_WhileItIsClosedForAReset_IsRecoveredByIt()
    {
        using var f = new LeaseFixture();
        bool failed = false;
        f.Device.OnCall = call =>
        {
            if (call == "Close" && !failed)
            {
                failed = true;
                f.Device.Raise(DeviceSignal.Failed, Why);
            }
        };

        Task<int> reset = f.Manager.ResetDeviceAsync("dev0", "by olga", CancellationToken.None);
        f.Pump();
        f.Pass(TimeSpan.FromSeconds(1));
        f.Pump();

        // The error was that of the device before its reset.
        Assert.Equal(0, Wait(reset));
        Assert.Equal((DeviceState.Ready, 1), (f.Manager.Device("dev0").State, f.Device.Resets));
    }

    [Fact]
    public void Failed_WhileItIsReset_StaysCordonedUntilTheNextReset()
    {
        using var f = new LeaseFixture();
        f.Device.OnCall = call =>
        {
            if (call != "Reset")
                return;
            f.Device.OnCall = null;
            f.Device.Raise(DeviceSignal.Failed, Why);
        };

        _ = f.Manager.ResetDeviceAsync("dev0", "by olga", CancellationToken.None);
        f.Pump();
        f.Pass(TimeSpan.FromSeconds(1));
        f.Pump();

        Assert.Equal((1, DeviceState.Cordoned), (f.Device.Resets, f.Manager.Device("dev0").State));
        Assert.Equal(CordonCause.Error, Assert.Single(f.Manager.Device("dev0").Cordons).Cause);
        _ = f.Manager.ResetDeviceAsync("dev0", "by olga", CancellationToken.None);
        f.Pump();
        Assert.Equal((2, DeviceState.Ready), (f.Device.Resets, f.Manager.Device("dev0").State));
    }

    [Fact]
    public void Vanished_Device_IsNotCordoned()
    {
        using var f = new LeaseFixture();
        f.Device.RaiseLost("unplugged");
        f.Pump();
        f.Pass(TimeSpan.FromSeconds(1));
        f.Pump();

        Assert.Equal(DeviceState.Ready, f.Manager.Device("dev0").State);
    }

    private static void Fail(LeaseFixture f)
    {
        f.Device.Raise(DeviceSignal.Failed, Why);
        f.Pump();
        f.Pass(TimeSpan.FromSeconds(1));
        f.Pump();
    }
}
