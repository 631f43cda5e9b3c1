// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Diagnosis;

/// <summary>What one check came to.</summary>
/// <param name="Check">Which one; its name does not change.</param>
/// <param name="Result">ok; warn: works, with less than there could be, or not for everybody; fail: something does not work.</param>
/// <param name="Message">What there is, and what that means.</param>
/// <param name="Remedy">What to do; null if there is nothing to do.</param>
internal sealed record Finding(string Check, string Result, string Message, string? Remedy)
{
    public static Finding Ok(string check, string message) => new(check, "ok", message, null);

    public static Finding Warn(string check, string message, string remedy) => new(check, "warn", message, remedy);

    public static Finding Fail(string check, string message, string remedy) => new(check, "fail", message, remedy);
}
