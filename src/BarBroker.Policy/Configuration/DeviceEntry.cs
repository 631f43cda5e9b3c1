// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Configuration;

/// <summary>A device to serve.</summary>
/// <param name="AllowSharing">On a device that revokes all at once: several uids at a time.</param>
internal abstract record DeviceEntry(string Name, bool AllowSharing);
