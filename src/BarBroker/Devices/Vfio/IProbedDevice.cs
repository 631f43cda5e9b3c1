// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux;
using BarBroker.Linux.Vfio;

namespace BarBroker.Devices.Vfio;

/// <summary>What <see cref="VfioProbe"/> asks of the kernel: the seam at which tests put kernels that do not exist yet.</summary>
internal interface IProbedDevice
{
    VfioRegion GetRegion(int index);

    Errno Probe(int feature, VfioFeatureUse use);

    /// <summary>Exports the beginning of a BAR.</summary>
    FileDescriptor Export(int bar, ulong length);

    Errno Revoke(int feature, FileDescriptor buffer);

    Errno SetMemoryAttribute(int feature, FileDescriptor buffer, uint attribute);

    /// <summary>Whether a buffer can be mapped. The mapping is never touched: reading a register may change the device.</summary>
    bool CanMap(FileDescriptor buffer, ulong length);
}
