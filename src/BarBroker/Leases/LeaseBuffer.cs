// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;

namespace BarBroker.Leases;

/// <summary>The place of one buffer: its ranges in the order of the mapping. <paramref name="Size"/> is their sum, in bytes.</summary>
internal sealed record LeaseBuffer(int Bar, ImmutableArray<BarRange> Ranges, ulong Size);
