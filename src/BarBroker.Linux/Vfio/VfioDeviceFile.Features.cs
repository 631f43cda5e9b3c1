// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;
using BarBroker.Linux.Vfio.Interop;
using static BarBroker.Linux.Interop.Constants;
using static BarBroker.Linux.Vfio.Interop.VfioConstants;

namespace BarBroker.Linux.Vfio;

/// <summary>VFIO_DEVICE_FEATURE.</summary>
public sealed partial class VfioDeviceFile
{
    /// <summary>The feature that exports a part of a region as a dmabuf (<c>VFIO_DEVICE_FEATURE_DMA_BUF</c>).</summary>
    public const int DmaBufFeature = (int)VFIO_DEVICE_FEATURE_DMA_BUF;

    /// <summary>Asks whether the device has a feature, which changes nothing.</summary>
    /// <returns><see cref="Errno.None"/>: yes. ENOTTY: no. EINVAL: not in this direction. Anything else: the driver's reason.</returns>
    public unsafe Errno Probe(int feature, VfioFeatureUse use)
    {
        var header = new VfioDeviceFeature { Argsz = (uint)sizeof(VfioDeviceFeature), Flags = Feature(feature) | (uint)use | VFIO_DEVICE_FEATURE_PROBE };
        return VfioIoctl.Try(this, VFIO_DEVICE_FEATURE, &header) >= 0 ? Errno.None : (Errno)Marshal.GetLastPInvokeError();
    }

    /// <summary>Exports ranges of one region as one dmabuf, read-write and close-on-exec, in the order given.</summary>
    /// <exception cref="LinuxException">EINVAL: ranges that are empty, unaligned or past the region. ENODEV: no such region. ENOTTY: the kernel cannot.</exception>
    public unsafe FileDescriptor ExportDmaBuf(int region, ReadOnlySpan<VfioDmaRange> ranges)
    {
        int length = sizeof(VfioDeviceFeature) + sizeof(VfioDeviceFeatureDmaBuf) + (ranges.Length * sizeof(VfioDmaRange));
        var message = new byte[length];
        var header = new VfioDeviceFeature { Argsz = (uint)length, Flags = Feature(DmaBufFeature) | VFIO_DEVICE_FEATURE_GET };
        var payload = new VfioDeviceFeatureDmaBuf { RegionIndex = (uint)region, OpenFlags = O_RDWR | O_CLOEXEC, NrRanges = (uint)ranges.Length };
        MemoryMarshal.Write(message, header);
        MemoryMarshal.Write(message.AsSpan(sizeof(VfioDeviceFeature)), payload);
        MemoryMarshal.AsBytes(ranges).CopyTo(message.AsSpan(sizeof(VfioDeviceFeature) + sizeof(VfioDeviceFeatureDmaBuf)));
        // SAFETY: the array is pinned for the call, and the header's argsz is its length.
        fixed (byte* start = message)
        {
            int fd = VfioIoctl.Call(this, VFIO_DEVICE_FEATURE, start, "VFIO_DEVICE_FEATURE(DMA_BUF)", $"BAR {region} of {_address}");
            return new FileDescriptor(fd);
        }
    }

    /// <summary>Asks under <paramref name="feature"/> to end every access to a buffer for good. May wait without limit for importers.</summary>
    /// <returns><see cref="Errno.None"/>: done. EBADFD: already so. Anything else: it is not known to have ended.</returns>
    public Errno RevokeDmaBuf(int feature, FileDescriptor buffer) => SetOn(feature, buffer, memoryAttribute: null);

    /// <summary>Asks under <paramref name="feature"/> that later mappings of a buffer are cached in this way: 0 is not cached, 1 is write-combining.</summary>
    /// <returns><see cref="Errno.None"/>: done. ENOENT: no such way.</returns>
    public Errno SetDmaBufMemoryAttribute(int feature, FileDescriptor buffer, uint attribute) => SetOn(feature, buffer, attribute);

    private unsafe Errno SetOn(int feature, FileDescriptor buffer, uint? memoryAttribute)
    {
        bool held = false;
        buffer.DangerousAddRef(ref held);
        try
        {
            var message = new SetMessage
            {
                Header = new VfioDeviceFeature
                {
                    Argsz = (uint)(sizeof(VfioDeviceFeature) + (memoryAttribute is null ? sizeof(VfioDeviceFeatureDmaBufRevoke) : sizeof(VfioDeviceFeatureDmaBufMemattr))),
                    Flags = Feature(feature) | VFIO_DEVICE_FEATURE_SET,
                },
                Payload = new VfioDeviceFeatureDmaBufMemattr { DmabufFd = (int)buffer.DangerousGetHandle(), Memattr = memoryAttribute ?? 0 },
            };
            // SAFETY: a local of at least argsz bytes.
            return VfioIoctl.Try(this, VFIO_DEVICE_FEATURE, &message) >= 0 ? Errno.None : (Errno)Marshal.GetLastPInvokeError();
        }
        finally
        {
            buffer.DangerousRelease();
        }
    }

    private static uint Feature(int number) => checked((uint)number) & VFIO_DEVICE_FEATURE_MASK;

    [StructLayout(LayoutKind.Sequential)]
    private struct SetMessage
    {
        public VfioDeviceFeature Header;
        public VfioDeviceFeatureDmaBufMemattr Payload;
    }
}
