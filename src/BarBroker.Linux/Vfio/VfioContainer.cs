// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Interop;
using BarBroker.Linux.Vfio.Interop;
using static BarBroker.Linux.Interop.Constants;
using static BarBroker.Linux.Vfio.Interop.VfioConstants;

namespace BarBroker.Linux.Vfio;

/// <summary>An I/O address space of the type1 interface (<c>/dev/vfio/vfio</c>). This project maps nothing into it: devices can reach no memory.</summary>
public sealed class VfioContainer : FileDescriptor
{
    private readonly string _path;

    private VfioContainer(int fd, string path) : base(fd) => _path = path;

    /// <exception cref="LinuxException">ENOENT, EACCES; EINVAL: the kernel has another version of the interface.</exception>
    public static unsafe VfioContainer Open(string path)
    {
        int fd = Libc.Open(path, O_RDWR | O_CLOEXEC);
        var container = fd >= 0 ? new VfioContainer(fd, path) : throw LinuxException.Last("open", path);
        try
        {
            int version = VfioIoctl.Call(container, VFIO_GET_API_VERSION, null, nameof(VFIO_GET_API_VERSION), path);
            return version == VFIO_API_VERSION ? container : throw new LinuxException(nameof(VFIO_GET_API_VERSION), $"{path}, which answers {version}", Errno.EINVAL);
        }
        catch
        {
            container.Dispose();
            throw;
        }
    }

    /// <summary>One that an earlier run of this program had. Takes the descriptor over, unless it is something else.</summary>
    /// <exception cref="IOException">It is something else; it is the caller's still.</exception>
    public static VfioContainer Adopt(FileDescriptor file, string path) =>
        FileIdentity.Of(path) is { } node && file.GetFileIdentity() == node ? new VfioContainer(file.Detach(), path) : throw new IOException($"it is {file.ReadLink()}, not {path}");

    /// <summary>Whether the kernel has the type1 v2 IOMMU driver (module vfio_iommu_type1).</summary>
    public bool HasType1V2() =>
        VfioIoctl.Call(this, VFIO_CHECK_EXTENSION, (nint)VFIO_TYPE1v2_IOMMU, nameof(VFIO_CHECK_EXTENSION), _path) > 0;

    /// <summary>Chooses the type1 v2 IOMMU driver. A group must be in the container.</summary>
    /// <exception cref="LinuxException">EPERM: the platform does not isolate interrupts. ENODEV: no IOMMU.</exception>
    public void SetType1V2() => VfioIoctl.Call(this, VFIO_SET_IOMMU, (nint)VFIO_TYPE1v2_IOMMU, nameof(VFIO_SET_IOMMU), _path);

    public override string ToString() => _path;
}
