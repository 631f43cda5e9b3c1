// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>The answer to a heartbeat. <paramref name="State"/> is 0 for a lease that is unknown or not the caller's.</summary>
internal readonly record struct Renewal(TimeSpan Remaining, LeaseState State, EndReason EndReason);
