// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Journal;

/// <summary>The record of a lease that an earlier run has left without an end.</summary>
/// <param name="BootId">Of the machine when it was written: the time stamps in <paramref name="Marks"/> are of that.</param>
internal sealed record EarlierLease(V1.Lease Lease, LeaseMarks Marks, string BootId);
