// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Devices.Vfio;

/// <summary>By which of the kernel's two interfaces a device is opened.</summary>
internal enum VfioInterface
{
    /// <summary>By its character device where the kernel has that and <c>/dev/iommu</c>, else by group.</summary>
    Automatic,

    /// <summary><c>/dev/vfio/N</c> and <c>/dev/vfio/vfio</c>.</summary>
    Group,

    /// <summary><c>/dev/vfio/devices/vfioN</c> and <c>/dev/iommu</c>.</summary>
    CharacterDevice,
}
