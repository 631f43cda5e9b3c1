// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Devices;

/// <summary>How the CPU caches a mapping of a buffer.</summary>
internal enum MemoryAttribute
{
    NonCached,
    WriteCombining,
}
