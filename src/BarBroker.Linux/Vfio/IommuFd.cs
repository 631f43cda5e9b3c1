// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Interop;
using BarBroker.Linux.Vfio.Interop;
using static BarBroker.Linux.Interop.Constants;
using static BarBroker.Linux.Vfio.Interop.VfioConstants;

namespace BarBroker.Linux.Vfio;

/// <summary>The newer owner of I/O address spaces (<c>/dev/iommu</c>). This project maps nothing into them: devices can reach no memory.</summary>
public sealed class IommuFd : FileDescriptor
{
    private readonly string _path;

    private IommuFd(int fd, string path) : base(fd) => _path = path;

    public static IommuFd Open(string path)
    {
        int fd = Libc.Open(path, O_RDWR | O_CLOEXEC);
        return fd >= 0 ? new IommuFd(fd, path) : throw LinuxException.Last("open", path);
    }

    /// <summary>One that an earlier run of this program had. Takes the descriptor over, unless it is something else.</summary>
    /// <exception cref="IOException">It is something else; it is the caller's still.</exception>
    public static IommuFd Adopt(FileDescriptor file, string path) =>
        FileIdentity.Of(path) is { } node && file.GetFileIdentity() == node ? new IommuFd(file.Detach(), path) : throw new IOException($"it is {file.ReadLink()}, not {path}");

    /// <summary>A new, empty address space; its number.</summary>
    public unsafe uint AllocateAddressSpace()
    {
        var allocate = new IommuIoasAlloc { Size = (uint)sizeof(IommuIoasAlloc) };
        VfioIoctl.Call(this, IOMMU_IOAS_ALLOC, &allocate, nameof(IOMMU_IOAS_ALLOC), _path);
        return allocate.OutIoasId;
    }

    public override string ToString() => _path;
}
