// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;

namespace BarBroker.Devices;

/// <summary>What an open device is and can do.</summary>
/// <param name="Kind">"simulated" or "vfio".</param>
/// <param name="Address">PCI address, empty for a simulated device.</param>
/// <param name="Domain">What can be taken back at once.</param>
/// <param name="Detail">Why <paramref name="Domain"/> is what it is, in words.</param>
/// <param name="Bars">The BARs of at least one page, by index.</param>
/// <param name="PageSize">Granularity of ranges, in bytes.</param>
/// <param name="Reset">What <see cref="IBarDevice.Reset"/> does.</param>
internal sealed record DeviceDescription(
    string Kind,
    string Address,
    RevocationDomain Domain,
    string Detail,
    ImmutableArray<BarDescription> Bars,
    ulong PageSize,
    ImmutableArray<MemoryAttribute> MemoryAttributes,
    ImmutableArray<BufferAccess> Accesses,
    ResetMeans Reset)
{
    public bool CanReset => Reset.Way != ResetWay.None;

    /// <summary>The kernel driver it is bound to, such as vfio-pci; empty for a simulated device.</summary>
    public string Driver { get; init; } = "";
}
