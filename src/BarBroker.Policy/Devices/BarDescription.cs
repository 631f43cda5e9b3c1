// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Devices;

/// <summary>A BAR that can be leased: its index (0 to 5) and size in bytes.</summary>
internal sealed record BarDescription(int Index, ulong Size);
