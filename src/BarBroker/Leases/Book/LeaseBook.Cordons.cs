// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

internal sealed partial class LeaseBook
{
    /// <summary>By an operator's word.</summary>
    public DeviceInfo Cordon(string device, string comment)
    {
        using Transition _ = Enter();
        DeviceSlot slot = FindSlot(device);
        CordonFor(slot, CordonCause.Operator, comment);
        return slot.ToInfo();
    }

    /// <summary>By an operator's word, which is stronger than any cause: all go. Quarantined ranges stay what they are.</summary>
    public DeviceInfo Uncordon(string device)
    {
        using Transition _ = Enter();
        DeviceSlot slot = FindSlot(device);
        SetCordons(slot, static _ => false, null);
        SkipCordons(slot, _clock.Now);
        return slot.ToInfo();
    }

    /// <summary>No new leases for this cause, beside what others there are. A cause that is there already only gets the comment.</summary>
    private void CordonFor(DeviceSlot slot, CordonCause cause, string comment) => SetCordons(slot, c => c.Cause != cause, new DeviceCordon(cause, comment));

    /// <summary>Nothing to do where the cause is not, any more or yet.</summary>
    private void UncordonFor(DeviceSlot slot, CordonCause cause) => SetCordons(slot, c => c.Cause != cause, null);

    private void SetCordons(DeviceSlot slot, Func<DeviceCordon, bool> keep, DeviceCordon? added)
    {
        IEnumerable<DeviceCordon> cordons = slot.Cordons.Where(keep);
        if (added is not null)
            cordons = cordons.Append(added).OrderBy(static c => c.Cause);
        if (slot.Cordons.SequenceEqual(cordons))
            return;
        slot.Cordons = [.. cordons];
        Tell(slot);
        Wake(slot);
    }
}
