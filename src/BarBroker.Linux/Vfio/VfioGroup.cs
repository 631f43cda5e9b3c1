// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Interop;
using BarBroker.Linux.Vfio.Interop;
using static BarBroker.Linux.Interop.Constants;
using static BarBroker.Linux.Vfio.Interop.VfioConstants;

namespace BarBroker.Linux.Vfio;

/// <summary>An IOMMU group (<c>/dev/vfio/N</c>). Only one open file of a group exists at a time, and every device file that came from it keeps it open.</summary>
public sealed class VfioGroup : FileDescriptor
{
    private readonly string _path;

    private VfioGroup(int fd, string path) : base(fd) => _path = path;

    /// <exception cref="LinuxException">EBUSY: somebody holds the group, or a device file of it.</exception>
    public static VfioGroup Open(string path)
    {
        int fd = Libc.Open(path, O_RDWR | O_CLOEXEC);
        return fd >= 0 ? new VfioGroup(fd, path) : throw LinuxException.Last("open", path);
    }

    /// <summary>One that an earlier run of this program had. Takes the descriptor over, unless it is something else.</summary>
    /// <exception cref="IOException">It is something else; it is the caller's still.</exception>
    public static VfioGroup Adopt(FileDescriptor file, string path) =>
        FileIdentity.Of(path) is { } node && file.GetFileIdentity() == node ? new VfioGroup(file.Detach(), path) : throw new IOException($"it is {file.ReadLink()}, not {path}");

    /// <summary>Whether no device of the group belongs to a driver of the kernel's that does DMA.</summary>
    public unsafe bool IsViable()
    {
        var status = new VfioGroupStatus { Argsz = (uint)sizeof(VfioGroupStatus) };
        VfioIoctl.Call(this, VFIO_GROUP_GET_STATUS, &status, nameof(VFIO_GROUP_GET_STATUS), _path);
        return (status.Flags & VFIO_GROUP_FLAGS_VIABLE) != 0;
    }

    public unsafe void SetContainer(VfioContainer container)
    {
        bool held = false;
        container.DangerousAddRef(ref held);
        try
        {
            int fd = (int)container.DangerousGetHandle();
            VfioIoctl.Call(this, VFIO_GROUP_SET_CONTAINER, &fd, nameof(VFIO_GROUP_SET_CONTAINER), _path);
        }
        finally
        {
            container.DangerousRelease();
        }
    }

    /// <summary>Opens a device of the group by its PCI address, such as 0000:01:00.0. The file is close-on-exec (vfio/group.c).</summary>
    public unsafe VfioDeviceFile OpenDevice(string address)
    {
        Span<byte> name = stackalloc byte[64];
        name.Clear();
        System.Text.Encoding.ASCII.GetBytes(address, name[..^1]);
        // SAFETY: the kernel reads the name up to the zero that ends it.
        fixed (byte* start = name)
        {
            int fd = VfioIoctl.Call(this, VFIO_GROUP_GET_DEVICE_FD, start, nameof(VFIO_GROUP_GET_DEVICE_FD), $"{address} in {_path}");
            return new VfioDeviceFile(fd, address);
        }
    }

    public override string ToString() => _path;
}
