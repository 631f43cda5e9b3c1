// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>A step that was taken about a stuck lease.</summary>
/// <param name="At">When it was taken, or when its outcome was known; a timestamp.</param>
internal sealed record Escalation(EscalationStep Step, EscalationOutcome Outcome, string Detail, long At)
{
    public EscalationInfo ToInfo(in LeaseClock clock, long now) => new(Step, Outcome, Detail, clock.Span(Math.Max(0, now - At)));
}
