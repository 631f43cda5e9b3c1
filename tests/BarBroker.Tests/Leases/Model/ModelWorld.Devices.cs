// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

/// <content>Devices that the kernel asks for, that fail, vanish and come back, that are reset and cordoned.</content>
internal sealed partial class ModelWorld
{
    private readonly ModelDevice[] _devices = new ModelDevice[DeviceCount];
    private readonly List<ModelReset> _resets = [];

    /// <summary>The call that the history goes on in; null: none.</summary>
    private (int Device, string Call)? _inside;

    /// <summary>A device that is not open says nothing; while it is opened it may have begun to.</summary>
    private void Signal(int device, DeviceSignal signal)
    {
        FakeDevice fake = _fixture.Devices[device];
        ModelDevice model = _devices[device];
        if (!fake.IsOpen && _inside != (device, nameof(IBarDevice.Open)))
            return;
        // Not heard while it is closed for what was said before.
        if (!_shuttingDown && fake.Closes >= model.LostUntilClose)
        {
            _tally.Count(signal switch { DeviceSignal.Requested => Deed.DeviceAskedFor, DeviceSignal.Failed => Deed.DeviceFailed, _ => Deed.DeviceVanished });
            if (signal == DeviceSignal.Requested)
                ExpectClose(device, new ModelPlan(_now + model.RequestGrace, EndReason.DeviceLost, IsReturn: true));
            else
                ExpectLoss(device, signal);
        }

        fake.Raise(signal, "the model says so");
    }

    private void ExpectLoss(int device, DeviceSignal signal)
    {
        MustEndAll(device, EndReason.DeviceLost);
        Leave(device, isLost: true);
        if (signal != DeviceSignal.Failed)
            return;
        _devices[device].Cordons.Add(CordonCause.Error);
        _devices[device].HasFailedMeanwhile = _inside is { } inside && inside.Device == device && inside.Call is nameof(IBarDevice.Open) or nameof(IBarDevice.Reset);
    }

    /// <summary>Who has got the buffers is given the time; who waits for them has nothing to be asked for.</summary>
    private void ExpectClose(int device, ModelPlan plan)
    {
        _devices[device].Plan = plan;
        foreach (ModelLease lease in _leases.Where(l => l.Device == device && l.Live))
        {
            if (plan.Due <= _now || !lease.Granted)
                lease.MustEnd(plan.Reason);
            else
                ExpectRecall(lease, plan.Due - _now, plan.Reason);
        }

        if (plan.Due <= _now)
            Leave(device, plan.IsReturn);
    }

    private void Leave(int device, bool isLost)
    {
        ModelDevice model = _devices[device];
        model.Plan = null;
        model.DisturbedAt = _now;
        model.MustClose = _fixture.Devices[device].Closes + 1;
        if (isLost)
            (model.LostUntilClose, model.ReturnedAt) = (model.MustClose, _now);
    }

    /// <summary>What time does: those that were asked for, or are to be reset, are closed.</summary>
    private void ExpectPlannedCloses()
    {
        for (int d = 0; d < DeviceCount; d++)
        {
            if (_devices[d].Plan is not { } plan || plan.Due > _now)
                continue;
            _tally.Count(Deed.ClosedAtDeadline);
            MustEndAll(d, plan.Reason);
            Leave(d, plan.IsReturn);
        }
    }

    /// <summary>Nobody is left: then the time is not waited for.</summary>
    private void ExpectEarlyCloses()
    {
        for (int d = 0; d < DeviceCount; d++)
        {
            if (_devices[d].Plan is not { } plan || _leases.Exists(l => l.Device == d && ToldLast(l.Id).State < LeaseState.Revoking))
                continue;
            _tally.Count(Deed.ClosedWhenEmpty);
            Leave(d, plan.IsReturn);
        }
    }

    /// <summary>Something may have appeared: what is not there is tried now.</summary>
    private void LookForDevices()
    {
        Manager.RetryUnavailable();
        for (int d = 0; d < DeviceCount && _depth == 0; d++)
        {
            // One that could not be closed until now is only closed.
            if (IsDisturbed(d) || _shuttingDown || _fixture.Devices[d].Closes < _devices[d].LostUntilClose)
                continue;
            _fixture.Executor(Name(d)).Pump();
            Assert.True(_fixture.Devices[d].IsOpen, $"{Name(d)} was not tried");
        }
    }

    private void ResetDevice(int device, long grace)
    {
        ModelDevice model = _devices[device];
        if (_shuttingDown || model.Plan is { IsReturn: true })
        {
            LeaseException e = Assert.ThrowsAny<LeaseException>(() => { _ = Manager.ResetDeviceAsync(Name(device), "", CancellationToken.None); });
            Assert.Equal(LeaseError.Unavailable, e.Error);
            return;
        }

        // What a dry run shows is what the reset will have ended.
        int there = _leases.Count(l => !l.Ended && l.Device == device);
        Assert.Equal(there, Manager.List(LeaseFilter.All with { Device = Name(device) }).Length);
        if (model.Plan is null || _now + grace < model.Plan.Due)
            ExpectClose(device, new ModelPlan(_now + grace, EndReason.DeviceReset, IsReturn: false));
        _resets.Add(new ModelReset(
            Manager.ResetDeviceAsync(Name(device), TimeSpan.FromMilliseconds(grace), "by an operator", CancellationToken.None), device, there, _fixture.Devices[device].Resets));
    }

    private void Cordon(int device)
    {
        _devices[device].Cordons.Add(CordonCause.Operator);
        Manager.Cordon(Name(device), "model");
    }

    /// <summary>Takes every cause away, and those leases that could bring one back do not any more.</summary>
    private void Uncordon(int device)
    {
        if (_devices[device].Cordons.Count > 1)
            _tally.Count(Deed.UncordonedSeveralCauses);
        _devices[device].Cordons.Clear();
        foreach (ModelLease lease in _leases.Where(l => l.Device == device && l.Stuck && !l.Steps.ContainsKey(EscalationStep.Cordon)))
        {
            _tally.Count(Deed.CordonForborne);
            lease.Steps[EscalationStep.Cordon] = EscalationOutcome.Refused;
        }

        Manager.Uncordon(Name(device));
    }

    /// <summary>After a command of the device: what a reset has cured.</summary>
    private void ObserveReset(int device)
    {
        ModelDevice model = _devices[device];
        if (_fixture.Devices[device].Resets > model.Resets && !model.HasFailedMeanwhile && model.Cordons.Remove(CordonCause.Error))
            _tally.Count(Deed.ErrorCured);
        model.Resets = _fixture.Devices[device].Resets;
        model.HasFailedMeanwhile = false;
    }

    private void CheckDevice(int device)
    {
        FakeDevice fake = _fixture.Devices[device];
        ModelDevice model = _devices[device];
        DeviceInfo info = Manager.Device(fake.Name);
        bool isOpen = IsOpen(info.State);
        Assert.Equal((fake.Name, string.Join(" ", model.Cordons)), (fake.Name, string.Join(" ", info.Cordons.Select(static c => c.Cause))));
        Assert.True((model.Plan is not null) == (info.State == DeviceState.Leaving), $"{fake.Name} is {info.State}, with {model.Plan?.ToString() ?? "no plan"}");
        Assert.True(!isOpen || (info.State == DeviceState.Ready) == (model.Cordons.Count == 0), $"{fake.Name} is {info.State} with cordons for {string.Join(", ", model.Cordons)}");
        Assert.True(fake.IsOpen || info.State == DeviceState.Unavailable, $"{fake.Name} is {info.State}, and closed");
        if (_fixture.ToldDevices.FindLast(t => t.Name == fake.Name) is { } told)
            Assert.Equal((told.Name, told.State, string.Join(" ", told.Cordons)), (info.Name, info.State, string.Join(" ", info.Cordons)));
        if (IsDisturbed(device))
            model.FaultAt = model.DisturbedAt = _now;
        // However long the broker was stalled before, it is opened only at the next attempt.
        if (fake.Closes > model.Closes)
            model.DisturbedAt = _now;
        model.Closes = fake.Closes;
        bool isDisturbed = _now - model.FaultAt <= LongestPause;
        Assert.True(isDisturbed || fake.Closes >= model.MustClose, $"{fake.Name} was not closed when it had to be");
        // One pause before it is closed, and one before it is opened.
        bool mustBeThere = _now - model.DisturbedAt > 2 * LongestPause && !_shuttingDown;
        Assert.True(!mustBeThere || fake.IsOpen, $"{fake.Name} was not opened again");
        foreach (ModelReset reset in _resets.Where(r => r.Device == device))
            CheckReset(reset, mustBeAnswered: isOpen && !model.IsBlocked);
        foreach (ModelLease lease in _leases.Where(l => l.Device == device && !l.Live && !l.Ended))
            Assert.True(_now - Math.Max(lease.DecidedAt, model.DisturbedAt) <= LongestPause || _shuttingDown, $"{lease.Id} ends, and nothing is done for its proof");
    }

    private bool IsDisturbed(int device)
    {
        FakeDevice fake = _fixture.Devices[device];
        return _devices[device].IsBlocked || fake.FailOpen || fake.FailClose || fake.FailRevoke || fake.FailReset || fake.OnCall is not null;
    }

    private void CheckReset(ModelReset reset, bool mustBeAnswered)
    {
        Assert.True(reset.Answer.IsCompleted || !mustBeAnswered, $"a reset of {Name(reset.Device)} is not answered");
        if (reset.Answer.IsCompletedSuccessfully)
        {
            Assert.Equal(reset.Leases, reset.Answer.Result);
            Assert.True(_fixture.Devices[reset.Device].Resets > reset.ResetsBefore, $"{Name(reset.Device)} is said to be reset, and was not");
        }
        else if (reset.Answer.IsFaulted)
        {
            Assert.Equal(LeaseError.Unavailable, Assert.IsType<LeaseException>(reset.Answer.Exception!.InnerException).Error);
        }
    }

    private static bool IsOpen(DeviceState state) => state is DeviceState.Ready or DeviceState.Cordoned;

    private void Heal(int device)
    {
        FakeDevice fake = _fixture.Devices[device];
        fake.FailRevoke = fake.FailClose = fake.FailOpen = fake.FailReset = fake.FailFill = false;
        fake.ExportsUntilFailure = null;
        fake.OnCall = null;
    }

    private void MustEndAll(int device, EndReason reason)
    {
        foreach (ModelLease lease in _leases.Where(l => l.Device == device))
            lease.MustEnd(reason);
    }
}
