// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;

namespace BarBroker.Leases;

internal sealed partial class LeaseBook
{
    /// <summary>Queues the first open.</summary>
    public void Start(DeviceSlot slot, IDeviceExecutor executor)
    {
        using Transition _ = Enter();
        slot.Executor = executor;
        slot.Detail = "being opened; the kernel has not answered yet";
        if (slot.Kept is { } kept)
        {
            slot.Detail = $"being taken up with the {kept.Leases.Length} leases that it had before the restart; the kernel has not answered yet";
            executor.Post(new DeviceCommand(DeviceCommandKind.Restore));
            return;
        }

        PostRecycle(slot);
    }

    /// <summary>Grants nothing more, ends everything and closes every device. Completes when all are closed, which is the proof for all leases.</summary>
    public Task Shutdown()
    {
        using Transition _ = Enter();
        foreach (DeviceSlot slot in _shuttingDown ? [] : _slots)
        {
            Withdraw(slot, "the broker is shutting down");
            RefuseAll(slot, new LeaseException(LeaseError.Unavailable, "the broker is shutting down; try again when it is back"));
            EndAll(slot, EndReason.BrokerShutdown, "the broker is shutting down", _clock.Now);
            if (slot.Executor is null)
                slot.Closed.TrySetResult();
            else
                PostRecycle(slot);
        }

        _shuttingDown = true;
        return Task.WhenAll(_slots.Select(static s => s.Closed.Task));
    }

    /// <summary>On the device thread, before it closes the device: ends what is exported. Returns all whose end the close will prove.</summary>
    public ImmutableArray<Lease> BeginClose(DeviceSlot slot)
    {
        using Transition _ = Enter();
        slot.RecycleQueued = false;
        slot.NeedsClose = true;
        EndExported(slot, slot.RecycleCause, _clock.Now);
        return [.. slot.Leases.Where(static l => l.Phase == ExportPhase.Done)];
    }

    public void CloseFailed(DeviceSlot slot, ImmutableArray<Lease> leases, string error)
    {
        using Transition _ = Enter();
        long now = _clock.Now;
        foreach (Lease lease in leases)
            Fail(lease, error, now);
        Defer(slot, $"close failed: {error}", now);
        ResetAnswered(slot, EscalationOutcome.Failed, $"close failed: {error}", now);
    }

    /// <summary>On the device thread: the device is closed and its buffers are disposed of. Returns whether to open it again now.</summary>
    public bool Closed(DeviceSlot slot, ImmutableArray<Lease> leases)
    {
        using Transition _ = Enter();
        long now = _clock.Now;
        foreach (Lease lease in leases)
            Finish(lease, now);
        // Asked for again meanwhile, for something that came after this close.
        slot.NeedsClose = slot.RecycleQueued;
        if (_shuttingDown)
        {
            slot.FirstOpen.TrySetResult();
            slot.Closed.TrySetResult();
            FailResets(slot, "the broker is shutting down");
            return false;
        }

        if (slot.Lost)
        {
            slot.Lost = slot.RecycleQueued;
            Defer(slot, slot.Detail, now);
            return false;
        }

        return true;
    }

    /// <summary>On the device thread, before it opens the device: whether it is to be reset then.</summary>
    public bool BeginOpen(DeviceSlot slot)
    {
        using Transition _ = Enter();
        slot.FailedMeanwhile = false;
        return slot.ResetWanted;
    }

    public void OpenFailed(DeviceSlot slot, string error)
    {
        using Transition _ = Enter();
        // It may be half open: no less than a close makes it ready for another try.
        slot.NeedsClose = true;
        Defer(slot, error, _clock.Now);
        slot.FirstOpen.TrySetResult();
        FailResets(slot, error);
    }

    public void Opened(DeviceSlot slot, DeviceDescription description, bool wasReset)
    {
        using Transition _ = Enter();
        slot.Generation++;
        slot.Failures = 0;
        Describe(slot, description);
        slot.RecycleCause = "the device was closed";
        // Nothing but the last close of it lets it be opened.
        AccountFor(slot);
        // Lost, or shut down, while it was being opened: the close is queued already.
        if (!slot.NeedsClose)
        {
            slot.IsOpen = true;
            slot.Detail = description.Detail;
            Wake(slot);
        }

        if (wasReset)
        {
            slot.ResetWanted = false;
            if (description.CanReset && !slot.FailedMeanwhile)
                UncordonFor(slot, CordonCause.Error);
            ResetAnswered(slot, EscalationOutcome.Done, "", _clock.Now);
            foreach (ResetWaiter waiter in slot.ResetWaiters)
                _observers.Add(() => waiter.Source.TrySetResult(waiter.Ended));
            slot.ResetWaiters.Clear();
        }

        Tell(slot);
        _observers.Add(() => slot.FirstOpen.TrySetResult());
    }

    /// <summary>No grants until the device was closed and opened again.</summary>
    private void Withdraw(DeviceSlot slot, string detail)
    {
        slot.Planned = null;
        slot.IsOpen = false;
        slot.Detail = detail;
        slot.RecycleCause = detail;
        slot.NeedsClose = true;
        Tell(slot);
    }

    /// <summary>What a close ends. If one is planned, with what was announced.</summary>
    private void EndExported(DeviceSlot slot, string detail, long now)
    {
        EndReason reason = slot.Planned?.Reason ?? EndReason.DeviceReset;
        foreach (Lease lease in slot.Leases.Where(static l => l.IsLive && l.Phase != ExportPhase.Queued).ToArray())
            EndLocked(lease, reason, detail, now);
    }

    private void PostRecycle(DeviceSlot slot)
    {
        slot.RetryDue = Deadline.Never;
        _deadlines.Set(slot, Deadline.Never);
        if (slot.RecycleQueued || slot.Executor is null)
            return;
        slot.RecycleQueued = true;
        slot.Executor.Post(new DeviceCommand(DeviceCommandKind.Recycle));
    }

    private void Defer(DeviceSlot slot, string detail, long now)
    {
        bool isNews = slot.IsOpen || slot.Detail != detail;
        slot.IsOpen = false;
        slot.Detail = detail;
        slot.Failures++;
        if (!slot.RecycleQueued)
        {
            slot.RetryDue = now + Backoff(slot.Failures, (ulong)slot.Generation);
            _deadlines.Set(slot, slot.RetryDue);
        }

        // A device that is not there may be tried for years.
        if (isNews)
            Tell(slot);
    }

    /// <summary>Takes over what the device said of itself. Leases that wait for their export keep their ranges, unless the BARs are no longer the same.</summary>
    private void Describe(DeviceSlot slot, DeviceDescription description)
    {
        bool sameBars = slot.Description is { } old && old.PageSize == description.PageSize && old.Bars.AsSpan().SequenceEqual(description.Bars.AsSpan());
        if (!sameBars)
        {
            EndAll(slot, EndReason.DeviceReset, "the device came back with other BARs", _clock.Now);
            MoveAll(slot);
            slot.Bars = new RangeAllocator<Lease>?[6];
            foreach (BarDescription bar in description.Bars)
                slot.Bars[bar.Index] = new RangeAllocator<Lease>(bar.Size, description.PageSize);
            LayPools(slot, description);
        }

        slot.Description = description;
    }
}
