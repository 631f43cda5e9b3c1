// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Output;

/// <summary>An acquire that waits, as barctl writes it; times are seconds, sizes bytes.</summary>
internal sealed record WaitingDocument(
    string Device,
    uint Position,
    OwnerDocument Owner,
    IReadOnlyDictionary<string, string> Labels,
    ulong Size,
    string Access,
    int Priority,
    double WaitedSeconds,
    double RemainingSeconds,
    IReadOnlyList<BufferDocument> Kept,
    bool Preempts,
    string? Pool)
{
    public static WaitingDocument From(V1.Waiting waiting) => new(
        waiting.Device,
        waiting.Position,
        OwnerDocument.From(waiting.Owner),
        waiting.Labels.ToDictionary(),
        waiting.Size,
        Words.Of(waiting.Access),
        waiting.Priority,
        waiting.Waited?.ToTimeSpan().TotalSeconds ?? 0,
        waiting.Remaining?.ToTimeSpan().TotalSeconds ?? 0,
        [.. waiting.Kept.Select(BufferDocument.From)],
        waiting.Preempts,
        waiting.Pool.Length > 0 ? waiting.Pool : null);
}
