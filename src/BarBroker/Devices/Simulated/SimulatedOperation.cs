// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Devices.Simulated;

/// <summary>What a simulated device can be told to do badly.</summary>
internal enum SimulatedOperation
{
    Open,
    Close,
    Export,
    Revoke,
    Reset,
    Scrub,
}
