// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Policy;

/// <summary>How often a uid may acquire: as many a second in the long run, and up to <paramref name="Burst"/> at once.</summary>
internal sealed record AcquireRate(int PerSecond, int Burst);
