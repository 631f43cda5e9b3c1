// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux;

namespace BarBroker.Devices.Simulated;

/// <summary>How one operation misbehaves: first it is slow, then it is stuck, then it fails.</summary>
internal readonly record struct SimulatedFault(TimeSpan Delay, bool IsStuck, Errno Errno);
