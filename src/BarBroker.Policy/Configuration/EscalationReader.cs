// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Configuration;

/// <summary>leases.escalation: the steps that are taken about a stuck lease, each with the time that it has been stuck for, or "never".</summary>
internal static class EscalationReader
{
    private static readonly TimeSpan _longest = TimeSpan.FromDays(7);

    // The device's own retries come first, and an importer that is only slow.
    private static readonly TimeSpan _soonestForce = TimeSpan.FromSeconds(1);

    public static EscalationOptions Read(ObjectReader escalation)
    {
        var defaults = new EscalationOptions();
        var options = new EscalationOptions
        {
            Notify = escalation.Duration("notify", defaults.Notify, TimeSpan.Zero, _longest),
            Cordon = escalation.DurationOrNever("cordon", defaults.Cordon, TimeSpan.Zero, _longest),
            Kill = escalation.DurationOrNever("kill", defaults.Kill, _soonestForce, _longest),
            Reset = escalation.DurationOrNever("reset", defaults.Reset, _soonestForce, _longest),
        };
        if (options is { Kill: { } kill, Reset: { } reset } && reset < kill)
        {
            escalation.Fault("reset", $"{Quantity.Format(reset)} comes before kill ({Quantity.Format(kill)}); the reset ends every lease of the device, so it is the last step");
        }

        escalation.Finish();
        return options;
    }
}
