// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;

namespace BarBroker.Leases;

/// <content>
/// Devices that the kernel asks for, that fail or vanish, and that are reset: how they go out of service and come back. What gives the holders time is a
/// <see cref="PlannedClose"/>: nothing new is granted, what lives is recalled, and when the last lease has ended, or at the deadline, the device is closed,
/// which is the proof for all that is left.
/// </content>
internal sealed partial class LeaseBook
{
    /// <summary>From any thread: what the open device says of itself.</summary>
    public void DeviceSignaled(DeviceSlot slot, DeviceSignal signal, string reason)
    {
        using Transition _ = Enter();
        // Then it is being closed for good, or until it is there again.
        if (slot.Lost || _shuttingDown)
            return;
        _metrics.Signaled(slot.Name, signal);
        long now = _clock.Now;
        if (signal == DeviceSignal.Requested)
            PlanClose(slot, new PlannedClose(EndReason.DeviceLost, reason, now + _clock.Units(slot.RequestGrace), IsReturn: true), now);
        else
            Lose(slot, signal, reason, now);
    }

    /// <summary>Recalls the leases of the device for the grace, then closes it, opens it and resets it. Completes when that is done.</summary>
    public Task<int> ResetDevice(string device, TimeSpan grace, string detail)
    {
        using Transition _ = Enter();
        DeviceSlot slot = FindSlot(device);
        if (_shuttingDown || slot.Executor is null)
            throw Unavailable(slot.Name, $"device {slot.Name} cannot be reset now: the broker {(_shuttingDown ? "is shutting down" : "has not started")}");
        if (slot.Planned is { IsReturn: true })
            throw Unavailable(slot.Name, $"device {slot.Name} cannot be reset now: {slot.Detail}");
        var waiter = new ResetWaiter(slot.Leases.Count);
        slot.ResetWaiters.Add(waiter);
        slot.ResetWanted = true;
        long now = _clock.Now;
        long due = now + _clock.Units(grace);
        if (slot.Planned is null || due < slot.Planned.Due)
            PlanClose(slot, new PlannedClose(EndReason.DeviceReset, detail, due, IsReturn: false), now);
        return waiter.Source.Task;
    }

    /// <summary>Something has changed in the system that devices which are not open may have waited for: they are tried again now, not after their pause.</summary>
    public void RetryUnavailable()
    {
        using Transition _ = Enter();
        foreach (DeviceSlot slot in _slots)
        {
            if (slot.IsOpen || slot.Planned is not null || _shuttingDown)
                continue;
            // Also where an attempt is under way, which may have come too early: the next one follows soon.
            slot.Failures = 0;
            if (slot.RetryDue != Deadline.Never)
                PostRecycle(slot);
        }
    }

    private void PlanClose(DeviceSlot slot, PlannedClose plan, long now)
    {
        slot.Planned = plan;
        slot.IsOpen = false;
        TimeSpan grace = _clock.Span(plan.Due - now);
        slot.Detail = $"{(plan.IsReturn ? "being given back" : "to be reset")}: {plan.Detail}; its leases are recalled, and revoked after {grace.TotalSeconds:0.###} s";
        if (plan.Due <= now)
        {
            CloseAsPlanned(slot, now);
            return;
        }

        _deadlines.Set(slot, plan.Due);
        foreach (Lease lease in slot.Leases.ToArray())
        {
            // What nobody can have yet is not asked back.
            if (lease.Phase == ExportPhase.Done)
                RecallLocked(lease, grace, plan.Reason, plan.Detail, now);
            else
                EndLocked(lease, plan.Reason, plan.Detail, now);
        }

        if (slot.Planned == plan)
            Tell(slot);
        CloseIfLeft(slot, now);
    }

    /// <summary>Nobody uses the device any more: what was planned need not wait for its time.</summary>
    private void CloseIfLeft(DeviceSlot slot, long now)
    {
        if (slot.Planned is not null && slot.LiveLeases == 0)
            CloseAsPlanned(slot, now);
    }

    private void CloseAsPlanned(DeviceSlot slot, long now)
    {
        PlannedClose plan = slot.Planned!;
        slot.Lost |= plan.IsReturn;
        Withdraw(slot, plan.IsReturn ? $"given back: {plan.Detail}" : "being reset");
        EndAll(slot, plan.Reason, plan.Detail, now);
        PostRecycle(slot);
    }

    private void Lose(DeviceSlot slot, DeviceSignal signal, string reason, long now)
    {
        slot.Lost = true;
        Withdraw(slot, $"lost: {reason}");
        // It is opened again, and may even work; whether it does, somebody has to find out before it is leased.
        slot.FailedMeanwhile |= signal == DeviceSignal.Failed;
        if (signal == DeviceSignal.Failed)
            CordonFor(slot, CordonCause.Error, slot.Description is { CanReset: false } ? $"it has no reset; if it works, `barctl device uncordon {slot.Name}`" : $"`barctl device reset {slot.Name}` recovers it");
        EndAll(slot, EndReason.DeviceLost, reason, now);
        PostRecycle(slot);
    }

    private void EndAll(DeviceSlot slot, EndReason reason, string detail, long now)
    {
        foreach (Lease lease in slot.Leases.ToArray())
            EndLocked(lease, reason, detail, now);
    }

    private void FailResets(DeviceSlot slot, string error)
    {
        foreach (ResetWaiter waiter in slot.ResetWaiters)
        {
            LeaseException failure = Unavailable(slot.Name, $"device {slot.Name} was closed, which ended its leases, but is not ready: {error}; it is tried again");
            _observers.Add(() => waiter.Source.TrySetException(failure));
        }

        slot.ResetWaiters.Clear();
        ResetAnswered(slot, EscalationOutcome.Failed, error, _clock.Now);
    }
}
