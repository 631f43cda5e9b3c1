// SPDX-License-Identifier: Apache-2.0

using System.Text.Json.Serialization;

namespace BarBroker.Cli.Output;

/// <summary>A device as barctl writes it; sizes are bytes.</summary>
internal sealed record DeviceDocument(
    string Name,
    string Kind,
    string Address,
    string Driver,
    string State,
    string RevocationDomain,
    string Detail,
    ulong PageSize,
    IReadOnlyList<string> MemoryAttributes,
    IReadOnlyList<string> Accesses,
    uint Leases,
    uint Generation,
    IReadOnlyList<BarDocument> Bars,
    uint Waiting,
    IReadOnlyList<CordonDocument> Cordons,
    IReadOnlyList<string> Pools)
{
    /// <summary>Only where the operator socket told it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<SegmentDocument>? Segments { get; init; }

    public static DeviceDocument From(V1.Device device) => new(
        device.Name,
        device.Kind,
        device.Address,
        device.Driver,
        Words.Of(device.State),
        Words.Of(device.RevocationDomain),
        device.Detail,
        device.PageSize,
        [.. device.MemoryAttributes.Select(Words.Of)],
        [.. device.Accesses.Select(Words.Of)],
        device.Leases,
        device.Generation,
        [.. device.Bars.Select(BarDocument.From)],
        device.Waiting,
        [.. device.Cordons.Select(CordonDocument.From)],
        device.Pools);

    /// <summary>The state in one word for a table, with the causes that are not an operator's word: cordoned (stuck).</summary>
    public string StateWithCauses()
    {
        string causes = string.Join(", ", Cordons.Select(static cordon => cordon.Cause).Where(static cause => cause != "operator"));
        return causes.Length > 0 ? $"{State} ({causes})" : State;
    }
}
