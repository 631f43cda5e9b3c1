// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Output;

/// <summary>What a reload came to.</summary>
/// <param name="Ended">Null: living leases were left as they are.</param>
internal sealed record ReloadDocument(IReadOnlyList<string> Changed, IReadOnlyList<string> NeedRestart, uint? Ended, IReadOnlyList<FaultDocument> Faults)
{
    public static ReloadDocument From(V1.ReloadResponse response, bool applied) => new(
        [.. response.Changed],
        [.. response.NeedRestart],
        applied && response.Faults.Count == 0 ? response.Ended : null,
        [.. response.Faults.Select(fault => new FaultDocument(fault.Path, fault.Line, fault.Message))]);
}
