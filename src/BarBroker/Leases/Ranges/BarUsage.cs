// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>How much of a BAR is in which use, in bytes.</summary>
internal sealed record BarUsage(int Bar, ulong Size, ulong Free, ulong Leased, ulong Quarantined, ulong LargestFree);
