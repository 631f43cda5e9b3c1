// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Tests.Leases.Model;

/// <summary>A reset that somebody asked for and waits for.</summary>
/// <param name="Leases">How many the device had then.</param>
/// <param name="ResetsBefore">How often it had been reset by then.</param>
internal sealed record ModelReset(Task<int> Answer, int Device, int Leases, int ResetsBefore);
