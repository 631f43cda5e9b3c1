// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Policy;

/// <summary>One rule: whom it is about, and what they may do.</summary>
/// <param name="IsDenial">Refuses everything.</param>
/// <param name="DenialText">For the refused, or empty.</param>
/// <param name="Lease">Null: the rule says nothing about leases.</param>
/// <param name="Operator">Null: the rule says nothing about operators.</param>
internal sealed record PolicyRule(string Name, PolicyMatch Match, bool IsDenial = false, string DenialText = "", LeaseRule? Lease = null, OperatorRights? Operator = null);
