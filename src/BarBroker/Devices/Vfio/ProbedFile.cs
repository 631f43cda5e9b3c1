// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux;
using BarBroker.Linux.Memory;
using BarBroker.Linux.Vfio;

namespace BarBroker.Devices.Vfio;

/// <summary>An open device of the running kernel.</summary>
internal sealed class ProbedFile(VfioDeviceFile file) : IProbedDevice
{
    public VfioRegion GetRegion(int index) => file.GetRegion(index);

    public Errno Probe(int feature, VfioFeatureUse use) => file.Probe(feature, use);

    public FileDescriptor Export(int bar, ulong length) => file.ExportDmaBuf(bar, [new VfioDmaRange(0, length)]);

    public Errno Revoke(int feature, FileDescriptor buffer) => file.RevokeDmaBuf(feature, buffer);

    public Errno SetMemoryAttribute(int feature, FileDescriptor buffer, uint attribute) => file.SetDmaBufMemoryAttribute(feature, buffer, attribute);

    public bool CanMap(FileDescriptor buffer, ulong length)
    {
        try
        {
            Mapping.Map(buffer, length, writable: true).Dispose();
            return true;
        }
        catch (LinuxException)
        {
            return false;
        }
    }

    public override string ToString() => file.ToString();
}
