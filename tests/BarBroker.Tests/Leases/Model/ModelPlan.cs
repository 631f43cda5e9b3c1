// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

/// <summary>A device grants nothing more, and is closed at <paramref name="Due"/>, or when none of its leases lives any more.</summary>
/// <param name="Reason">What those end with that live until then.</param>
/// <param name="IsReturn">The kernel has asked for it; else it is reset.</param>
internal sealed record ModelPlan(long Due, EndReason Reason, bool IsReturn);
