// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Leases;
using static BarBroker.Tests.Leases.LeaseFixture;

namespace BarBroker.Tests.Leases;

/// <summary>What is done about a stuck lease, and when.</summary>
public sealed class LeaseEscalationTests
{
    private static readonly AcquireRequest FourPages = Explicit(Pages(0, 4));

    private static readonly EscalationOptions Every = new()
    {
        Notify = TimeSpan.FromSeconds(5),
        Cordon = TimeSpan.FromSeconds(10),
        Kill = TimeSpan.FromSeconds(20),
        Reset = TimeSpan.FromSeconds(40),
    };

    private readonly FakeKiller _killer = new();

    [Fact]
    public void Escalation_EveryStep_TakenInTurnAndOnce()
    {
        using LeaseFixture f = Fixture(Every);
        string id = Stuck(f).Id;

        Assert.Empty(f.Get(id).Escalations);
        After(f, 5);
        Assert.Equal([(EscalationStep.Notify, EscalationOutcome.Done)], Steps(f, id));
        Assert.False(IsCordoned(f));
        After(f, 5);
        Assert.Equal([(EscalationStep.Notify, EscalationOutcome.Done), (EscalationStep.Cordon, EscalationOutcome.Done)], Steps(f, id));
        Assert.True(IsCordoned(f));
        Assert.Empty(_killer.Asked);
        After(f, 10);
        Assert.Equal((EscalationStep.Kill, EscalationOutcome.Done), Steps(f, id)[^1]);
        Assert.Equal([(100, 1)], _killer.Asked.Select(static a => (a.Owner.Pid, a.Buffers)));
        Assert.Equal(0, f.Device.Resets);
        After(f, 20);
        Assert.Equal((EscalationStep.Reset, EscalationOutcome.Done), Steps(f, id)[^1]);
        Assert.Equal((1, LeaseState.Ended, EndReason.Released), (f.Device.Resets, f.Get(id).State, f.Get(id).EndReason));
        Assert.False(IsCordoned(f));
        After(f, 60);
        Assert.Equal((4, 1, 1), (f.Get(id).Escalations.Length, _killer.Asked.Count, f.Device.Resets));
    }

    [Fact]
    public void StuckFor_StuckLease_CountsFromTheFirstFailure()
    {
        using LeaseFixture f = Fixture(new EscalationOptions());
        string id = Stuck(f).Id;
        Assert.Equal(TimeSpan.Zero, f.Get(id).StuckFor);
        After(f, 7);
        Assert.Equal(TimeSpan.FromSeconds(7), f.Get(id).StuckFor);
        f.Device.FailRevoke = false;
        After(f, 31);
        Assert.Null(f.Get(id).StuckFor);
    }

    [Fact]
    public void Escalation_ByDefault_NotifiesAtOnceCordonsLaterAndForcesNothing()
    {
        using LeaseFixture f = Fixture(new EscalationOptions());
        string id = Stuck(f).Id;

        Assert.Equal([(EscalationStep.Notify, EscalationOutcome.Done)], Steps(f, id));
        Assert.Equal("dev0", f.Active(Explicit(Pages(8, 1))).Device);
        After(f, 30);
        Assert.Equal(LeaseError.Unavailable, f.Refused(Explicit(Pages(9, 1))).Error);
        After(f, 3600);
        Assert.Equal([EscalationStep.Notify, EscalationStep.Cordon], Steps(f, id).Select(static s => s.Step));
        Assert.Equal((0, 0), (_killer.Asked.Count, f.Device.Resets));
    }

    [Fact]
    public void Cordon_LastStuckLeaseEnds_IsLiftedAndAnOperatorsStays()
    {
        using LeaseFixture f = Fixture(Every);
        string first = Stuck(f).Id;
        string second = Stuck(f, Explicit(Pages(8, 1))).Id;
        After(f, 10);
        f.Manager.Cordon("dev0", "maintenance");
        Assert.Equal([CordonCause.Operator, CordonCause.Stuck], f.Manager.Device("dev0").Cordons.Select(static c => c.Cause));

        f.Device.OnCall = call => FailOnce(f, call);
        After(f, 9);
        Assert.Equal(1, f.Manager.List(LeaseFilter.All).Count(static l => l.State == LeaseState.Stuck));
        Assert.Equal([CordonCause.Operator, CordonCause.Stuck], f.Manager.Device("dev0").Cordons.Select(static c => c.Cause));

        f.Device.OnCall = null;
        f.Device.FailRevoke = false;
        After(f, 31);
        Assert.Equal((LeaseState.Ended, LeaseState.Ended), (f.Get(first).State, f.Get(second).State));
        Assert.Equal([CordonCause.Operator], f.Manager.Device("dev0").Cordons.Select(static c => c.Cause));
    }

    [Fact]
    public void Uncordon_StuckDevice_ComesBackOnlyWithTheNextStuckLease()
    {
        using LeaseFixture f = Fixture(Every with { Kill = null, Reset = null });
        string first = Stuck(f).Id;
        After(f, 9);
        f.Manager.Uncordon("dev0");
        After(f, 60);
        Assert.False(IsCordoned(f));
        Assert.Contains((EscalationStep.Cordon, EscalationOutcome.Refused), Steps(f, first));
        Assert.Equal(LeaseError.NoRoom, f.Refused(FourPages).Error);

        Stuck(f, Explicit(Pages(8, 1)));
        After(f, 10);
        Assert.True(IsCordoned(f));
    }

    [Fact]
    public void Cordon_ThreadOfTheDeviceBlocked_ComesAfterAnotherTimeout()
    {
        using LeaseFixture f = Fixture(new EscalationOptions());
        LeaseInfo lease = f.Active(FourPages);
        f.Manager.End(lease.Id, EndReason.Operator, "");
        // Nothing is pumped: the thread of the device does not answer.
        f.Pass(TimeSpan.FromSeconds(9.75));
        Assert.Equal((LeaseState.Stuck, false), (f.Get(lease.Id).State, IsCordoned(f)));
        f.Pass(TimeSpan.FromSeconds(0.25));
        Assert.True(IsCordoned(f));
        f.Pump();
        Assert.Equal((LeaseState.Ended, false), (f.Get(lease.Id).State, IsCordoned(f)));
    }

    [Theory]
    [InlineData((int)EscalationOutcome.Refused)]
    [InlineData((int)EscalationOutcome.Failed)]
    [InlineData((int)EscalationOutcome.Done)]
    public void Kill_RefusedFailedOrInVain_IsRecordedAndTheResetFollows(int outcome)
    {
        using LeaseFixture f = Fixture(Every);
        _killer.Answer = ((EscalationOutcome)outcome, "why");
        string id = Stuck(f).Id;

        After(f, 20);
        EscalationInfo kill = f.Get(id).Escalations[^1];
        Assert.Equal((EscalationStep.Kill, (EscalationOutcome)outcome, "why", LeaseState.Stuck), (kill.Step, kill.Outcome, kill.Detail, f.Get(id).State));
        After(f, 20);
        Assert.Equal((1, LeaseState.Ended), (f.Device.Resets, f.Get(id).State));
    }

    [Fact]
    public void Kill_Helps_TheRevokeIsTriedAtOnce()
    {
        using LeaseFixture f = Fixture(Every);
        LeaseOwner owner = Owner();
        string id = Stuck(f, FourPages, owner).Id;
        After(f, 20);
        f.Device.FailRevoke = false;

        f.Manager.OwnerExited(owner);
        f.Pass(TimeSpan.FromMilliseconds(250));
        f.Pump();

        Assert.Equal((LeaseState.Ended, EndReason.Released, 0), (f.Get(id).State, f.Get(id).EndReason, f.Device.Resets));
    }

    [Fact]
    public void Kill_OwnerHasEnded_IsNotAskedFor()
    {
        using LeaseFixture f = Fixture(Every);
        LeaseOwner owner = Owner();
        string id = Stuck(f, FourPages, owner).Id;
        f.Manager.OwnerExited(owner);
        After(f, 20);
        Assert.Equal((EscalationStep.Kill, EscalationOutcome.Refused), Steps(f, id)[^1]);
        Assert.Empty(_killer.Asked);
    }

    [Fact]
    public void Kill_BuffersNeverFetched_IsNotAskedFor()
    {
        using LeaseFixture f = Fixture(Every);
        string id = f.Acquire(FourPages).Lease.Id;
        f.Device.FailRevoke = true;
        f.Manager.End(id, EndReason.Operator, "");
        f.Pump();
        After(f, 20);
        Assert.Equal((EscalationStep.Kill, EscalationOutcome.Refused), Steps(f, id)[^1]);
        Assert.Empty(_killer.Asked);
    }

    [Fact]
    public void Kill_LeaseEndsBeforeTheSignal_IsNoLongerWantedAndWrittenDown()
    {
        using LeaseFixture f = Fixture(Every);
        _killer.Answer = null;
        string id = Stuck(f).Id;
        After(f, 20);
        Assert.Equal((EscalationStep.Kill, EscalationOutcome.Begun), Steps(f, id)[^1]);
        Assert.True(_killer.IsStillStuck!());

        f.Device.FailRevoke = false;
        After(f, 19);
        Assert.Equal(LeaseState.Ended, f.Get(id).State);
        Assert.False(_killer.IsStillStuck());
        int told = f.Told.Count;
        _killer.Done!(EscalationOutcome.Refused, "the lease has ended meanwhile");

        Assert.Equal((EscalationStep.Kill, EscalationOutcome.Refused), Steps(f, id)[^1]);
        Assert.Equal(told, f.Told.Count);
    }

    [Fact]
    public void Reset_CloseBlocks_StaysBegunUntilItReturns()
    {
        using LeaseFixture f = Fixture(Every);
        string id = Stuck(f).Id;
        After(f, 39);
        f.Pass(TimeSpan.FromSeconds(60));
        Assert.Equal((EscalationStep.Reset, EscalationOutcome.Begun), Steps(f, id)[^1]);
        Assert.Equal((LeaseState.Stuck, DeviceState.Unavailable), (f.Get(id).State, f.Manager.Device("dev0").State));
        f.Pump();
        Assert.Equal((EscalationStep.Reset, EscalationOutcome.Done), Steps(f, id)[^1]);
        Assert.Equal((LeaseState.Ended, DeviceState.Ready), (f.Get(id).State, f.Manager.Device("dev0").State));
    }

    [Fact]
    public void Reset_CloseFails_IsRecordedAndTriedAgain()
    {
        using LeaseFixture f = Fixture(Every);
        string id = Stuck(f).Id;
        f.Device.FailClose = true;
        After(f, 40);
        EscalationInfo reset = f.Get(id).Escalations[^1];
        Assert.Equal((EscalationStep.Reset, EscalationOutcome.Failed, "close failed: close dev0: EIO"), (reset.Step, reset.Outcome, reset.Detail));
        Assert.Equal(LeaseState.Stuck, f.Get(id).State);
        f.Device.FailClose = false;
        After(f, 31);
        Assert.Equal((EscalationStep.Reset, EscalationOutcome.Done), Steps(f, id)[^1]);
        Assert.Equal((LeaseState.Ended, 1), (f.Get(id).State, f.Device.Resets));
    }

    [Fact]
    public void Reset_OtherLeasesOfTheDevice_EndByItAndAreCounted()
    {
        using LeaseFixture f = Fixture(Every);
        LeaseInfo other = f.Active(Explicit(Pages(8, 1)));
        string id = Stuck(f).Id;
        while (f.Get(id).State == LeaseState.Stuck)
        {
            f.Manager.Renew(other.Id, 1000, 0);
            After(f, 1);
        }

        Assert.Contains(f.Told, l => l.Id == id && l.Escalated is { Step: EscalationStep.Reset, Outcome: EscalationOutcome.Begun, Detail: "1 other lease ends by it" });
        Assert.Equal((LeaseState.Ended, EndReason.DeviceReset), (f.Get(other.Id).State, f.Get(other.Id).EndReason));
    }

    [Fact]
    public void Reconfigure_StepsBroughtForward_AreTakenByTheNewTimesAndNotAgain()
    {
        using LeaseFixture f = Fixture(Every with { Kill = null, Reset = null });
        string id = Stuck(f).Id;
        After(f, 15);
        Assert.Equal([EscalationStep.Notify, EscalationStep.Cordon], Steps(f, id).Select(static s => s.Step));

        f.Manager.Reconfigure(new LeaseOptions { Escalation = Every with { Cordon = TimeSpan.Zero, Kill = TimeSpan.FromSeconds(12), Reset = null } });
        After(f, 1);

        Assert.Equal([EscalationStep.Notify, EscalationStep.Cordon, EscalationStep.Kill], Steps(f, id).Select(static s => s.Step));
        Assert.Equal(2, f.ToldDevices.Count(static d => d.State == DeviceState.Cordoned) + f.ToldDevices.Count(static d => d.State == DeviceState.Ready));
    }

    [Fact]
    public void Shutdown_StuckLease_TakesNoMoreSteps()
    {
        using LeaseFixture f = Fixture(Every);
        string id = Stuck(f).Id;
        f.Device.FailClose = true;
        _ = f.Manager.ShutdownAsync(CancellationToken.None);
        After(f, 60);
        Assert.Empty(f.Get(id).Escalations);
        Assert.Empty(_killer.Asked);
    }

    [Fact]
    public void Retries_ManyStuckAtOnce_DoNotComeBackAtOnce()
    {
        using LeaseFixture f = Fixture(new EscalationOptions { Cordon = null });
        string[] ids = [.. Enumerable.Range(0, 32).Select(i => f.Active(Explicit(Pages((ulong)i, 1))).Id)];
        f.Device.FailRevoke = true;
        foreach (string id in ids)
            f.Manager.End(id, EndReason.Operator, "");
        f.Pump();
        var perInstant = new List<int>();
        f.Device.OnCall = call => perInstant[^1] += call == nameof(IBarDevice.Revoke) ? 1 : 0;
        for (int i = 0; i < 60; i++)
        {
            perInstant.Add(0);
            f.Time.Advance(TimeSpan.FromMilliseconds(1));
            f.Pump();
        }

        // The first pause is 100 ms, give or take a quarter, but never beyond the last pause of all.
        Assert.Equal(0, perInstant.Sum());
        for (int i = 0; i < 90; i++)
        {
            perInstant.Add(0);
            f.Time.Advance(TimeSpan.FromMilliseconds(1));
            f.Pump();
        }

        Assert.True(perInstant.Sum() >= ids.Length, $"only {perInstant.Sum()} retries of {ids.Length} within 150 ms");
        Assert.True(perInstant.Max() <= ids.Length / 4, $"{perInstant.Max()} retries of {ids.Length} came within one millisecond");
    }

    private LeaseFixture Fixture(EscalationOptions escalation)
    {
        var f = new LeaseFixture(new LeaseOptions { Escalation = escalation, DefaultTtl = TimeSpan.FromHours(1) });
        f.Manager.UseKiller(_killer);
        return f;
    }

    private static LeaseInfo Stuck(LeaseFixture f, AcquireRequest? request = null, LeaseOwner? owner = null)
    {
        LeaseInfo lease = f.Active(request ?? FourPages, owner);
        f.Device.FailRevoke = true;
        Task<LeaseInfo> release = f.Manager.ReleaseAsync(lease.Id, 1000, CancellationToken.None);
        f.Pump();
        return Wait(release);
    }

    private static void After(LeaseFixture f, int seconds)
    {
        for (int i = 0; i < seconds * 4; i++)
        {
            f.Pass(TimeSpan.FromMilliseconds(250));
            f.Pump();
        }
    }

    private static (EscalationStep Step, EscalationOutcome Outcome)[] Steps(LeaseFixture f, string id) => [.. f.Get(id).Escalations.Select(static e => (e.Step, e.Outcome))];

    private static bool IsCordoned(LeaseFixture f) => f.Manager.Device("dev0").Cordons.Any(static c => c.Cause == CordonCause.Stuck);

    /// <summary>Lets one revoke through, and no more.</summary>
    private static void FailOnce(LeaseFixture f, string call)
    {
        if (call != nameof(IBarDevice.Revoke))
            return;
        f.Device.FailRevoke = f.Manager.List(LeaseFilter.All).Count(static l => l.State == LeaseState.Stuck) < 2;
    }
}
