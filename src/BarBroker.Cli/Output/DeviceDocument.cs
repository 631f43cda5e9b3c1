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
    uint Waiting)
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
        device.Waiting);
}
