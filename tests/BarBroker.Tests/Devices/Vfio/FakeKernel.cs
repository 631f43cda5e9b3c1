// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices.Vfio;
using BarBroker.Linux;
using BarBroker.Linux.Memory;
using BarBroker.Linux.Vfio;

namespace BarBroker.Tests.Devices.Vfio;

/// <summary>A device of a kernel that may have the proposed features, under any number, and others that answer the same probes.</summary>
internal sealed class FakeKernel : IProbedDevice
{
    private readonly Dictionary<int, ulong> _bars = [];
    private bool _anyRevoked;

    public int? RevokeFeature { get; init; }

    public int? AttributeFeature { get; init; }

    /// <summary>Something else that can be set, looks at no payload, and says yes.</summary>
    public int? CarelessFeature { get; init; }

    public bool CanMapBuffers { get; init; } = true;

    public Errno DmaBuf { get; init; } = Errno.None;

    /// <summary>Faults of a revoke that must not be believed.</summary>
    public bool RevokeLeavesMappings { get; init; }

    public bool RevokeTakesAll { get; init; }

    public bool RevokeNeverTellsAgain { get; init; }

    public List<int> Set { get; } = [];

    public int Exported { get; private set; }

    public FakeKernel WithBar(int index, ulong size)
    {
        _bars.Add(index, size);
        return this;
    }

    public VfioRegion GetRegion(int index) => new(index, _bars.GetValueOrDefault(index), 0, IsMappable: _bars.ContainsKey(index));

    public Errno Probe(int feature, VfioFeatureUse use)
    {
        if (feature == VfioDeviceFile.DmaBufFeature)
        {
            return DmaBuf;
        }

        bool known = feature == RevokeFeature || feature == AttributeFeature || feature == CarelessFeature;
        return !known ? Errno.ENOTTY : use is VfioFeatureUse.Set ? Errno.None : Errno.EINVAL;
    }

    public FileDescriptor Export(int bar, ulong length)
    {
        Exported++;
        return Memfd.Create($"bar{bar}", length);
    }

    public Errno Revoke(int feature, FileDescriptor buffer)
    {
        Set.Add(feature);
        if (feature == CarelessFeature)
        {
            return Errno.None;
        }

        // The attribute's payload is longer: vfio_check_feature answers EINVAL.
        if (feature != RevokeFeature)
        {
            return feature == AttributeFeature ? Errno.EINVAL : Errno.ENOTTY;
        }

        if (buffer.IsInvalid)
        {
            return Errno.EBADF;
        }

        bool already = IsRevoked(buffer);
        _anyRevoked = true;
        ((Memfd)buffer).SetSize(0);
        return already && !RevokeNeverTellsAgain ? Errno.EBADFD : Errno.None;
    }

    public Errno SetMemoryAttribute(int feature, FileDescriptor buffer, uint attribute)
    {
        Set.Add(feature);
        return feature == CarelessFeature ? Errno.None
            : feature == RevokeFeature ? Revoke(feature, buffer)
            : feature != AttributeFeature ? Errno.ENOTTY
            : attribute > 1 ? Errno.ENOENT
            : Errno.None;
    }

    public bool CanMap(FileDescriptor buffer, ulong length) =>
        CanMapBuffers && (RevokeLeavesMappings || !IsRevoked(buffer));

    private bool IsRevoked(FileDescriptor buffer) => buffer.GetSize() == 0 || (RevokeTakesAll && _anyRevoked);
}
