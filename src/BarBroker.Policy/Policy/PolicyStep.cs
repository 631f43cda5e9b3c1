// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Policy;

/// <summary>A rule that was looked at for a decision.</summary>
/// <param name="Why">Why it did not decide; empty for the one that did.</param>
internal sealed record PolicyStep(string Rule, string Why);
