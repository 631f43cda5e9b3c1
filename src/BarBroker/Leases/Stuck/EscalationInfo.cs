// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>A step that was taken about a stuck lease, as it was at one moment.</summary>
/// <param name="Age">Since it was taken, or since its outcome was known.</param>
internal sealed record EscalationInfo(EscalationStep Step, EscalationOutcome Outcome, string Detail, TimeSpan Age);
