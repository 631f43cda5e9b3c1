// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Output;

/// <summary>A rule that was looked at, and why it did not decide; empty for the one that did.</summary>
internal sealed record StepDocument(string Rule, string Why);
