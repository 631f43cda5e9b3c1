// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;

namespace BarBroker.Devices.Vfio;

/// <summary>Which device, and what to try with it.</summary>
/// <param name="Name">The name in the configuration.</param>
/// <param name="Address">PCI address as sysfs spells it, such as 0000:01:00.0.</param>
internal sealed record VfioDeviceOptions(string Name, string Address)
{
    /// <summary>Feature numbers under which the kernel may revoke one buffer; none turns selective revocation off. See docs/kernel.md.</summary>
    public ImmutableArray<int> RevokeFeatures { get; init; } = DefaultRevokeFeatures;

    /// <summary>Feature numbers under which the kernel may set a buffer's memory attribute.</summary>
    public ImmutableArray<int> MemoryAttributeFeatures { get; init; } = DefaultMemoryAttributeFeatures;

    /// <summary>How long the device waits for the kernel to revoke a buffer before it serves others; see <see cref="RevokeCalls"/>.</summary>
    public TimeSpan RevokePatience { get; init; } = TimeSpan.FromSeconds(5);

    public VfioInterface Interface { get; init; } = VfioInterface.Automatic;

    /// <summary>Where sysfs and the device nodes are; another place only in tests.</summary>
    public string SysfsRoot { get; init; } = "/sys";

    public string DevRoot { get; init; } = "/dev";

    /// <summary>Those the kernel's own may get, then that of vfio-bar-lease (kernel/vfio_bar_lease.h): the first that behaves is taken.</summary>
    public static ImmutableArray<int> DefaultRevokeFeatures { get; } = [13, 14, 0xBA01];

    public static ImmutableArray<int> DefaultMemoryAttributeFeatures { get; } = [14, 15, 0xBA02];
}
