// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Pools;

namespace BarBroker.Leases;

/// <summary>A pool as it was at one moment, on the devices that it covers.</summary>
internal sealed record PoolInfo(Pool Pool, ImmutableArray<PoolUsage> Devices);
