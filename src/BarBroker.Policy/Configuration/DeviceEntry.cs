// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Configuration;

/// <summary>A device to serve.</summary>
/// <param name="AllowSharing">On a device that revokes all at once: several uids at a time.</param>
internal abstract record DeviceEntry(string Name, bool AllowSharing)
{
    public static readonly TimeSpan DefaultRequestGrace = TimeSpan.FromSeconds(5);

    /// <summary>How long its leases are recalled for when the kernel asks for the device.</summary>
    public TimeSpan RequestGrace { get; init; } = DefaultRequestGrace;
}
