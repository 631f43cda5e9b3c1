// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Configuration;

namespace BarBroker.Policy;

/// <summary>What a reload came to.</summary>
/// <param name="Faults">What is wrong with the file; then nothing was changed.</param>
/// <param name="Changes">What is different.</param>
/// <param name="Ended">Leases that the new policy ends, where that was asked for.</param>
internal sealed record ReloadOutcome(ImmutableArray<ConfigurationFault> Faults, ConfigurationChanges Changes, int Ended);
