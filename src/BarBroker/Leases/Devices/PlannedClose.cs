// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>A device that serves nobody new is to be closed when its leases have gone, which they are asked to, or at <paramref name="Due"/>.</summary>
/// <param name="Reason">What the leases end with.</param>
/// <param name="Detail">What they end with, in words.</param>
/// <param name="IsReturn">The kernel has asked for the device; else it is opened again and reset.</param>
internal sealed record PlannedClose(EndReason Reason, string Detail, long Due, bool IsReturn);
