// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Leases;
using static BarBroker.Tests.Leases.LeaseFixture;

namespace BarBroker.Tests.Leases;

/// <summary>The kernel asks for a device: who is told what, and when it is closed.</summary>
public class LeaseDeviceRequestTests
{
    private const string Why = "it is being unbound";

    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(250);

    [Fact]
    public void Requested_LeasesLive_AreRecalledAndRevokedAtTheDeadline()
    {
        using var f = new LeaseFixture();
        LeaseInfo fetched = f.Active(Explicit(Pages(0, 1)));
        Grant unfetched = f.Acquire(Explicit(Pages(1, 1)));

        f.Device.Raise(DeviceSignal.Requested, Why);
        f.Pump();

        foreach (LeaseInfo lease in new[] { f.Get(fetched.Id), f.Get(unfetched.Lease.Id) })
        {
            Assert.Equal((LeaseState.Recalled, Grace), (lease.State, lease.RecallRemaining));
            Assert.Equal((EndReason.DeviceLost, Why), (lease.RecallReason, lease.RecallDetail));
        }

        DeviceInfo device = f.Manager.Device("dev0");
        Assert.Equal((DeviceState.Leaving, $"being given back: {Why}; its leases are recalled, and revoked after 5 s"), (device.State, device.Detail));
        Assert.Equal(1, f.Device.Closes);
        f.Pass(Grace - Moment);
        f.Pump();
        Assert.Equal(2, f.Device.Accessible.Length);

        f.Pass(Moment);
        f.Pump();
        Assert.Equal((LeaseState.Ended, EndReason.DeviceLost, Why), (f.Get(fetched.Id).State, f.Get(fetched.Id).EndReason, f.Get(fetched.Id).EndDetail));
        Assert.Empty(f.Device.Accessible);
        Assert.Equal((0, 2, 1), (f.Device.Revokes, f.Device.Closes, f.Device.Opens));
        Assert.Equal((DeviceState.Unavailable, $"given back: {Why}"), (f.Manager.Device("dev0").State, f.Manager.Device("dev0").Detail));
    }

    [Fact]
    public void Requested_LastLeaseReleased_ClosesAtOnce()
    {
        using var f = new LeaseFixture();
        LeaseInfo first = f.Active(Explicit(Pages(0, 1))), second = f.Active(Explicit(Pages(1, 1)));
        f.Device.Raise(DeviceSignal.Requested, Why);

        Release(f, first);
        Assert.Equal((1, DeviceState.Leaving), (f.Device.Closes, f.Manager.Device("dev0").State));
        Assert.Equal((LeaseState.Ended, EndReason.Released), (f.Get(first.Id).State, f.Get(first.Id).EndReason));
        Release(f, second);

        Assert.Equal((2, DeviceState.Unavailable), (f.Device.Closes, f.Manager.Device("dev0").State));
        Assert.Equal((LeaseState.Ended, EndReason.Released), (f.Get(second.Id).State, f.Get(second.Id).EndReason));
    }

    [Fact]
    public void Requested_LastLeaseEndsOtherwise_ClosesAtOnce()
    {
        using var f = new LeaseFixture();
        LeaseOwner owner = Owner();
        f.Active(Explicit(Pages(0, 1)), owner);
        f.Device.Raise(DeviceSignal.Requested, Why);

        f.Manager.OwnerExited(owner);
        f.Pump();

        Assert.Equal((2, DeviceState.Unavailable), (f.Device.Closes, f.Manager.Device("dev0").State));
    }

    [Fact]
    public void Requested_NoLeases_ClosesAtOnceAndIsTakenAgainWhenItOpens()
    {
        using var f = new LeaseFixture();
        f.Device.FailOpen = true;
        f.Device.Raise(DeviceSignal.Requested, Why);
        f.Pump();
        Assert.Equal((2, DeviceState.Unavailable), (f.Device.Closes, f.Manager.Device("dev0").State));

        f.Pass(TimeSpan.FromMinutes(1));
        f.Pump();
        Assert.Equal("open failed: open dev0: EIO", f.Manager.Device("dev0").Detail);
        f.Device.FailOpen = false;
        f.Pass(TimeSpan.FromMinutes(1));
        f.Pump();
        Assert.Equal((DeviceState.Ready, 2), (f.Manager.Device("dev0").State, f.Manager.Device("dev0").Generation));
        Assert.Equal(LeaseState.Active, f.Active(Explicit(Pages(0, 1))).State);
    }

    [Fact]
    public void Requested_WithoutGrace_EndsEverythingAtOnce()
    {
        using var f = new LeaseFixture(null, [new DeviceRegistration(new FakeDevice("dev0")) { RequestGrace = TimeSpan.Zero }]);
        LeaseInfo lease = f.Active(Explicit(Pages(0, 1)));

        f.Device.Raise(DeviceSignal.Requested, Why);
        f.Pump();

        Assert.Equal((LeaseState.Ended, EndReason.DeviceLost), (f.Get(lease.Id).State, f.Get(lease.Id).EndReason));
        Assert.DoesNotContain(f.Told, static told => told.State == LeaseState.Recalled);
        Assert.Equal((0, 2), (f.Device.Revokes, f.Device.Closes));
    }

    [Fact]
    public void Requested_Again_ChangesNothing()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(Explicit(Pages(0, 1)));
        f.Device.Raise(DeviceSignal.Requested, Why);
        f.Pass(Grace / 2);

        f.Device.Raise(DeviceSignal.Requested, "it is still being unbound");
        Assert.Equal((Grace / 2, Why), (f.Get(lease.Id).RecallRemaining!.Value, f.Get(lease.Id).RecallDetail));

        f.Pass(Grace / 2);
        f.Pump();
        Assert.Equal(2, f.Device.Closes);
    }

    [Fact]
    public void Requested_LeaseRecalledBefore_KeepsTheSoonerDeadline()
    {
        using var f = new LeaseFixture();
        LeaseInfo soon = f.Active(Explicit(Pages(0, 1))), late = f.Active(Explicit(Pages(1, 1)));
        f.Manager.Recall(soon.Id, TimeSpan.FromSeconds(1), EndReason.Operator, "by olga");
        f.Manager.Recall(late.Id, TimeSpan.FromHours(1), EndReason.Operator, "by olga");

        f.Device.Raise(DeviceSignal.Requested, Why);

        Assert.Equal((TimeSpan.FromSeconds(1), EndReason.Operator), (f.Get(soon.Id).RecallRemaining, f.Get(soon.Id).RecallReason));
        Assert.Equal((Grace, EndReason.DeviceLost), (f.Get(late.Id).RecallRemaining, f.Get(late.Id).RecallReason));
        f.Pass(Grace);
        f.Pump();
        Assert.Equal((EndReason.Operator, EndReason.DeviceLost), (f.Get(soon.Id).EndReason, f.Get(late.Id).EndReason));
    }

    [Fact]
    public void Requested_Acquires_AreRefusedOrWait()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(Explicit(Pages(0, 1)));
        Task<Grant> waiting = f.Manager.AcquireAsync(Explicit(Pages(0, 1)) with { Wait = TimeSpan.FromMinutes(5) }, Owner(), CancellationToken.None).AsTask();
        f.Device.Raise(DeviceSignal.Requested, Why);

        LeaseException refusal = f.Refused(Explicit(Pages(5, 1)));
        Assert.Equal(LeaseError.Unavailable, refusal.Error);
        Assert.Contains(Why, refusal.Message, StringComparison.Ordinal);
        Task<Grant> another = f.Manager.AcquireAsync(Explicit(Pages(5, 1)) with { Wait = TimeSpan.FromMinutes(5) }, Owner(), CancellationToken.None).AsTask();
        f.Device.FailOpen = true;
        Release(f, lease);
        f.Pass(TimeSpan.FromSeconds(20));
        f.Pump();
        Assert.Equal((false, false, 2), (waiting.IsCompleted, another.IsCompleted, f.Manager.Device("dev0").Waiting));

        f.Device.FailOpen = false;
        f.Pass(TimeSpan.FromMinutes(1));
        f.Pump();
        Assert.Equal(LeaseState.Granted, Wait(waiting).Lease.State);
        Assert.Equal(LeaseState.Granted, Wait(another).Lease.State);
    }

    [Fact]
    public void Requested_ExportUnderWay_EndsAtOnce()
    {
        using var f = new LeaseFixture();
        f.Device.OnCall = call =>
        {
            if (call == "Export")
                f.Device.Raise(DeviceSignal.Requested, Why);
        };

        Assert.Equal(LeaseError.Unavailable, f.Refused(Explicit(Pages(0, 1))).Error);

        Assert.Empty(f.Device.Accessible);
        Assert.Equal((2, DeviceState.Unavailable), (f.Device.Closes, f.Manager.Device("dev0").State));
    }

    [Fact]
    public void Requested_ExportQueued_EndsAtOnce()
    {
        using var f = new LeaseFixture();
        Task<Grant> acquire = f.Manager.AcquireAsync(Explicit(Pages(0, 1)), Owner(), CancellationToken.None).AsTask();

        f.Device.Raise(DeviceSignal.Requested, Why);

        Assert.Equal(LeaseError.Unavailable, Assert.Throws<LeaseException>(() => Wait(acquire)).Error);
        f.Pump();
        Assert.Equal(2, f.Device.Closes);
    }

    [Fact]
    public void Requested_WhileItIsOpened_IsClosedAgain()
    {
        using var f = new LeaseFixture(null, [new DeviceRegistration(new FakeDevice("dev0"))], start: false);
        bool asked = false;
        f.Device.OnCall = call =>
        {
            if (call == "Open" && !asked)
            {
                asked = true;
                f.Device.Raise(DeviceSignal.Requested, Why);
            }
        };
        f.Manager.Start();
        f.Pump();

        Assert.Equal((2, 1, DeviceState.Unavailable), (f.Device.Closes, f.Device.Opens, f.Manager.Device("dev0").State));
    }

    [Fact]
    public void Requested_StuckLease_IsFreedByTheCloseAtOnce()
    {
        using var f = new LeaseFixture();
        LeaseInfo stuck = f.Active(Explicit(Pages(0, 1)));
        f.Device.FailRevoke = true;
        Release(f, stuck);
        Assert.Equal(LeaseState.Stuck, f.Get(stuck.Id).State);

        f.Device.Raise(DeviceSignal.Requested, Why);
        f.Pump();

        Assert.Equal((LeaseState.Ended, 2), (f.Get(stuck.Id).State, f.Device.Closes));
    }

    [Fact]
    public void Requested_CloseFails_QuarantinesAndTriesAgain()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(Explicit(Pages(0, 1)));
        f.Device.FailClose = true;
        f.Device.Raise(DeviceSignal.Requested, Why);
        f.Pass(Grace);
        f.Pump();
        Assert.Equal((LeaseState.Stuck, EndReason.DeviceLost), (f.Get(lease.Id).State, f.Get(lease.Id).EndReason));
        Assert.Equal((DeviceState.Unavailable, "close failed: close dev0: EIO"), (f.Manager.Device("dev0").State, f.Manager.Device("dev0").Detail));

        f.Device.FailClose = false;
        f.Pass(TimeSpan.FromSeconds(1));
        f.Pump();
        Assert.Equal(LeaseState.Ended, f.Get(lease.Id).State);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Requested_ThenWorse_EndsTheRestAtOnce(bool isError)
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(Explicit(Pages(0, 1)));
        f.Device.Raise(DeviceSignal.Requested, Why);

        f.Device.Raise(isError ? DeviceSignal.Failed : DeviceSignal.Vanished, "it is gone");
        f.Pump();

        Assert.Equal((LeaseState.Ended, EndReason.DeviceLost, "it is gone"), (f.Get(lease.Id).State, f.Get(lease.Id).EndReason, f.Get(lease.Id).EndDetail));
        Assert.Equal(2, f.Device.Closes);
        f.Pass(Grace);
        f.Pump();
        Assert.Equal((3, 2), (f.Device.Closes, f.Device.Opens));
    }

    [Fact]
    public void Requested_Reset_IsRefusedUntilItIsBack()
    {
        using var f = new LeaseFixture();
        f.Active(Explicit(Pages(0, 1)));
        f.Device.Raise(DeviceSignal.Requested, Why);

        var refusal = Assert.Throws<LeaseException>(() => { _ = f.Manager.ResetDeviceAsync("dev0", "by olga", CancellationToken.None); });

        Assert.Equal(LeaseError.Unavailable, refusal.Error);
        Assert.Contains(Why, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Requested_Shutdown_EndsEverythingAtOnceWithItsOwnReason()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(Explicit(Pages(0, 1)));
        f.Device.Raise(DeviceSignal.Requested, Why);

        Task shutdown = f.Manager.ShutdownAsync(CancellationToken.None);
        f.Pump();

        Assert.True(shutdown.IsCompletedSuccessfully);
        Assert.Equal((LeaseState.Ended, EndReason.BrokerShutdown), (f.Get(lease.Id).State, f.Get(lease.Id).EndReason));
        f.Pass(Grace);
        f.Pump();
        Assert.Equal((2, 1), (f.Device.Closes, f.Device.Opens));
    }

    [Fact]
    public void Requested_DeviceThatIsRevokedAsAWhole_ClosesWithTheFirstRelease()
    {
        using var f = new LeaseFixture(null, new FakeDevice("dev0", RevocationDomain.Device));
        LeaseInfo first = f.Active(Explicit(Pages(0, 1))), second = f.Active(Explicit(Pages(1, 1)));
        f.Device.Raise(DeviceSignal.Requested, Why);

        Release(f, first);

        Assert.Equal((EndReason.Released, EndReason.DeviceLost), (f.Get(first.Id).EndReason, f.Get(second.Id).EndReason));
        Assert.Equal((2, 1, DeviceState.Unavailable), (f.Device.Closes, f.Device.Opens, f.Manager.Device("dev0").State));
    }

    [Fact]
    public void Requested_OtherDevice_IsNotTouched()
    {
        using var f = new LeaseFixture(null, new FakeDevice("dev0"), new FakeDevice("dev1"));
        LeaseInfo other = f.Active(Explicit(Pages(0, 1)) with { Device = "dev1" });

        f.Device.Raise(DeviceSignal.Requested, Why);
        f.Pump();

        Assert.Equal((LeaseState.Active, DeviceState.Ready), (f.Get(other.Id).State, f.Manager.Device("dev1").State));
    }

    [Fact]
    public void Redeem_WhileLeaving_HandsOverWhatIsStillRecalled()
    {
        using var f = new LeaseFixture();
        Grant grant = f.Acquire(Explicit(Pages(0, 1)));
        f.Device.Raise(DeviceSignal.Requested, Why);

        Redemption redemption = f.Manager.Redeem(grant.Ticket.Span, 1000);

        Assert.Equal((LeaseState.Recalled, EndReason.DeviceLost), (redemption.Lease.State, redemption.Lease.RecallReason));
    }

    [Fact]
    public void RetryUnavailable_DeviceHasAppeared_IsTakenAtOnce()
    {
        using var f = new LeaseFixture();
        f.Device.FailOpen = true;
        f.Device.RaiseLost("unplugged");
        f.Pump();
        // So long that the next attempt is far away.
        f.Pass(TimeSpan.FromMinutes(2));
        f.Pump();
        f.Device.FailOpen = false;

        f.Manager.RetryUnavailable();
        f.Pump();

        Assert.Equal(DeviceState.Ready, f.Manager.Device("dev0").State);
    }

    [Fact]
    public void RetryUnavailable_NothingIsUnavailable_DoesNothing()
    {
        using var f = new LeaseFixture();
        LeaseInfo lease = f.Active(Explicit(Pages(0, 1)));

        f.Manager.RetryUnavailable();
        Assert.Equal(0, f.Executor("dev0").Count);

        f.Device.Raise(DeviceSignal.Requested, Why);
        f.Manager.RetryUnavailable();
        Assert.Equal((0, LeaseState.Recalled), (f.Executor("dev0").Count, f.Get(lease.Id).State));
    }

    [Fact]
    public void Retry_DeviceIsAbsent_IsToldOnce()
    {
        using var f = new LeaseFixture();
        f.Device.FailOpen = true;
        f.Device.RaiseLost("unplugged");
        f.Pump();
        for (int i = 0; i < 10; i++)
        {
            f.Pass(TimeSpan.FromSeconds(40));
            f.Pump();
        }

        Assert.Single(f.ToldDevices, static told => told.Detail == "open failed: open dev0: EIO");
    }

    private static void Release(LeaseFixture f, LeaseInfo lease)
    {
        Task<LeaseInfo> release = f.Manager.ReleaseAsync(lease.Id, lease.Owner.Uid, CancellationToken.None);
        f.Pump();
        Wait(release);
    }
}
