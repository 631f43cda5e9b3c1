// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Pci;
using BarBroker.Linux.Vfio;

namespace BarBroker.Devices.Vfio;

/// <summary>What must be open before a device of an IOMMU group can be, by one of the kernel's two interfaces.</summary>
internal abstract class VfioAccess : IDisposable
{
    public abstract VfioInterface Interface { get; }

    public abstract VfioDeviceFile OpenDevice(PciNode device);

    /// <summary>Resets the slot or bus of a device that was opened here.</summary>
    public abstract void HotReset(VfioDeviceFile device);

    public abstract void Dispose();
}
