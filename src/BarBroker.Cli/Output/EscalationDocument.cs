// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Output;

/// <summary>A step that was taken about a stuck lease.</summary>
internal sealed record EscalationDocument(string Step, string Outcome, string Detail, double? AgeSeconds)
{
    public static EscalationDocument From(V1.Escalation escalation) =>
        new(Words.Of(escalation.Step), Words.Of(escalation.Outcome), escalation.Detail, escalation.Age?.ToTimeSpan().TotalSeconds);
}
