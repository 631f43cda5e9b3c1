// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;

namespace BarBroker.Devices.Simulated;

/// <summary>A device to make of memory.</summary>
/// <param name="Bars">At least one, each of at least one page and a multiple of the page size.</param>
/// <param name="Domain"><see cref="RevocationDomain.Selective"/>, or <see cref="RevocationDomain.Device"/> to behave as stock VFIO does.</param>
/// <param name="FaultsFile">Where to look for faults before each operation (<see cref="SimulatedFaults"/>); null: never.</param>
internal sealed record SimulatedDeviceOptions(
    string Name,
    ImmutableArray<BarDescription> Bars,
    RevocationDomain Domain = RevocationDomain.Selective,
    string? FaultsFile = null);
