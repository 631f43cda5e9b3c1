// SPDX-License-Identifier: Apache-2.0

using System.Globalization;

namespace BarBroker.Policy;

/// <summary>A user or group of the configuration: the number that decides, and the name it was written as, or empty.</summary>
internal readonly record struct NamedId(uint Id, string Name)
{
    public override string ToString() => Name.Length > 0 ? $"{Name} ({Id})" : Id.ToString(CultureInfo.InvariantCulture);
}
