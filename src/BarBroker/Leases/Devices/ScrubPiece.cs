// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;

namespace BarBroker.Leases;

/// <summary>What is to be written over a part of a lease that is not exported yet.</summary>
/// <param name="Next">The command that goes on after it.</param>
internal readonly record struct ScrubPiece(int Bar, BarRange Range, uint Pattern, DeviceCommand Next);
