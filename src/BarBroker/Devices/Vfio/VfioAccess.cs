// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Linux.Pci;
using BarBroker.Linux.Vfio;

namespace BarBroker.Devices.Vfio;

/// <summary>What must be open before a device of an IOMMU group can be, by one of the kernel's two interfaces.</summary>
internal abstract class VfioAccess : IDisposable
{
    public abstract VfioInterface Interface { get; }

    /// <summary>What has to be kept over a restart beside the files of devices.</summary>
    /// <param name="group">The number of the group, which its files are called by.</param>
    public abstract ImmutableArray<KeptFile> KeptFiles(string group);

    public abstract VfioDeviceFile OpenDevice(PciNode device);

    /// <summary>Resets the slot or bus of a device that was opened here.</summary>
    public abstract void HotReset(VfioDeviceFile device);

    public abstract void Dispose();
}
