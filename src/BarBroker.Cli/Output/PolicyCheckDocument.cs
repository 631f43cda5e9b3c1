// SPDX-License-Identifier: Apache-2.0

using BarBroker.Configuration;

namespace BarBroker.Cli.Output;

/// <summary>What is to be said of a configuration file, and of a question to its policy.</summary>
/// <param name="Rules">Null: there is no policy.</param>
/// <param name="Steps">The rules that were looked at, in order.</param>
/// <param name="Rule">The one that decided; null if none did.</param>
/// <param name="Granted">Null if no lease was asked for.</param>
/// <param name="RefusalCode">Such as <c>denied</c>.</param>
/// <param name="OperatorRights">Null if they were not asked for.</param>
internal sealed record PolicyCheckDocument(
    string File,
    IReadOnlyList<FaultDocument> Faults,
    int? Rules,
    IReadOnlyList<StepDocument> Steps,
    string? Rule,
    bool? Granted,
    string? Refusal,
    string? RefusalCode,
    TermsDocument? Terms,
    IReadOnlyList<string>? OperatorRights)
{
    public static PolicyCheckDocument Of(string file, BrokerOptions options) => new(file, [], options.Leases.Rules?.Length, [], null, null, null, null, null, null);

    public static PolicyCheckDocument Of(string file, ConfigurationException exception) => new(
        file, [.. exception.Faults.Select(fault => new FaultDocument(fault.Path, fault.Line, fault.Message))], null, [], null, null, null, null, null, null);
}
