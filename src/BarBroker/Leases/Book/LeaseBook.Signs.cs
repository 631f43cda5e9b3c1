// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <content>Whether everything that must go on goes on.</content>
internal sealed partial class LeaseBook
{
    /// <summary>Has the sweep and every device's thread give a sign of life.</summary>
    public void AskForSigns()
    {
        _sweeper.Ask();
        foreach (DeviceSlot slot in _slots)
            slot.Executor.Ask();
    }

    /// <summary>Takes no lock: whoever holds it for ever must be seen here.</summary>
    public VitalSigns Signs() => new(
        _sweeper.HasAnswered,
        [.. _slots.Where(static s => s.Executor.Pulse == WorkerPulse.InCall).Select(static s => s.Name)],
        [.. _slots.Where(static s => s.Executor.Pulse == WorkerPulse.Silent).Select(static s => s.Name)]);
}
