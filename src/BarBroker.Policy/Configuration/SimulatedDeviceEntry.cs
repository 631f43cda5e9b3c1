// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;

namespace BarBroker.Configuration;

/// <param name="FaultsFile">What the device shall get wrong; null: nothing.</param>
internal sealed record SimulatedDeviceEntry(
    string Name,
    bool AllowSharing,
    ImmutableArray<BarDescription> Bars,
    RevocationDomain Domain,
    string? FaultsFile) : DeviceEntry(Name, AllowSharing);
