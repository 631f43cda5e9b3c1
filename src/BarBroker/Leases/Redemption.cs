// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;

namespace BarBroker.Leases;

/// <summary>What a ticket buys. The buffers belong to the lease; they may be revoked, and disposed, at any moment.</summary>
internal sealed record Redemption(LeaseInfo Lease, ImmutableArray<ExportedBuffer> Buffers);
