// SPDX-License-Identifier: Apache-2.0

using System.Text.Json.Serialization;

namespace BarBroker.Cli.Output;

/// <summary>Something that happened: to a lease or to a device, the other is absent.</summary>
internal sealed record EventDocument
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public LeaseDocument? Lease { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public DeviceDocument? Device { get; init; }
}
