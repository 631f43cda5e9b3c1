// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.Runtime.InteropServices;
using BarBroker.Linux.Events;
using BarBroker.Linux.Interop;
using BarBroker.Linux.Pci;
using BarBroker.Linux.Vfio.Interop;
using static BarBroker.Linux.Interop.Constants;
using static BarBroker.Linux.Vfio.Interop.VfioConstants;

namespace BarBroker.Linux.Vfio;

/// <summary>An open PCI device. Closing the last file of a device ends every access to what it exported, for good (vfio_pci_core_close_device).</summary>
public sealed partial class VfioDeviceFile : FileDescriptor
{
    private readonly string _address;

    internal VfioDeviceFile(int fd, string address) : base(fd) => _address = address;

    /// <summary>Opens a device by its own character device (<c>/dev/vfio/devices/vfioN</c>). Nothing but <see cref="Bind"/> works before that.</summary>
    public static VfioDeviceFile Open(string path, string address)
    {
        int fd = Libc.Open(path, O_RDWR | O_CLOEXEC);
        return fd >= 0 ? new VfioDeviceFile(fd, address) : throw LinuxException.Last("open", $"{path} ({address})");
    }

    /// <summary>An open device that an earlier run of this program had. Takes the descriptor over, unless it is something else.</summary>
    /// <param name="devicePath">The device in sysfs, without links. Kernels since 6.17 or so tell it of the file (vfio_device_show_fdinfo); before, the ids in the configuration space have to do.</param>
    /// <param name="ids">Vendor and device.</param>
    /// <exception cref="IOException">It is something else; it is the caller's still.</exception>
    public static VfioDeviceFile Adopt(FileDescriptor file, string address, string devicePath, (ushort Vendor, ushort Device)? ids)
    {
        string link = file.ReadLink();
        if (ReadDevicePath(file) is { } path)
        {
            return path == devicePath ? new VfioDeviceFile(file.Detach(), address) : throw new IOException($"it is the device {path}, not {devicePath}");
        }

        // A node that was opened in a mount namespace that is gone has another path, so nothing is told by that.
        if (link != "anon_inode:[vfio-device]")
        {
            throw new IOException($"it is {link}, no device of vfio");
        }

        var found = ReadIds(file, address);
        return ids is not null && found == ids ? new VfioDeviceFile(file.Detach(), address) : throw new IOException($"it is a device {found.Vendor:x4}:{found.Device:x4}, and {address} is another one");
    }

    /// <summary>Binds a device that was opened by its character device to an iommufd, which gives access to it.</summary>
    /// <exception cref="LinuxException">EINVAL: somebody else has the device. EBUSY: its group is open, or has a device with a driver of the kernel's.</exception>
    public unsafe void Bind(IommuFd iommu)
    {
        bool held = false;
        iommu.DangerousAddRef(ref held);
        try
        {
            var bind = new VfioDeviceBindIommufd { Argsz = (uint)sizeof(VfioDeviceBindIommufd), Iommufd = (int)iommu.DangerousGetHandle() };
            VfioIoctl.Call(this, VFIO_DEVICE_BIND_IOMMUFD, &bind, nameof(VFIO_DEVICE_BIND_IOMMUFD), _address);
        }
        finally
        {
            iommu.DangerousRelease();
        }
    }

    /// <summary>Puts a bound device into an address space.</summary>
    /// <exception cref="LinuxException">EPERM: the platform does not isolate interrupts.</exception>
    public unsafe void Attach(uint addressSpace)
    {
        var attach = new VfioDeviceAttachIommufdPt { Argsz = (uint)sizeof(VfioDeviceAttachIommufdPt), PtId = addressSpace };
        VfioIoctl.Call(this, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach, nameof(VFIO_DEVICE_ATTACH_IOMMUFD_PT), _address);
    }

    /// <summary>Whether <see cref="Reset"/> has a way to; the kernel found out when the device was opened.</summary>
    public unsafe bool CanReset()
    {
        var info = new VfioDeviceInfo { Argsz = (uint)sizeof(VfioDeviceInfo) };
        VfioIoctl.Call(this, VFIO_DEVICE_GET_INFO, &info, nameof(VFIO_DEVICE_GET_INFO), _address);
        return (info.Flags & VFIO_DEVICE_FLAGS_RESET) != 0;
    }

    /// <summary>One of the BARs 0 to 5, or 7: configuration space.</summary>
    public unsafe VfioRegion GetRegion(int index)
    {
        var info = new VfioRegionInfo { Argsz = (uint)sizeof(VfioRegionInfo), Index = (uint)index };
        VfioIoctl.Call(this, VFIO_DEVICE_GET_REGION_INFO, &info, nameof(VFIO_DEVICE_GET_REGION_INFO), $"region {index} of {_address}");
        return new VfioRegion(index, info.Size, info.Offset, (info.Flags & VFIO_REGION_INFO_FLAG_MMAP) != 0);
    }

    /// <summary>Writes to a BAR, as the kernel does it: in words of up to 8 bytes.</summary>
    /// <exception cref="LinuxException">EIO: memory of the device is off, as during a reset. EINVAL: past the BAR.</exception>
    public unsafe void WriteRegion(int bar, ulong offset, ReadOnlySpan<byte> data)
    {
        long at = checked((long)(GetRegion(bar).FileOffset + offset));
        // SAFETY: the span is pinned for the whole loop and never written from past its length.
        fixed (byte* start = data)
        {
            for (int done = 0; done < data.Length;)
            {
                nint count = Libc.Pwrite(this, start + done, (nuint)(data.Length - done), at + done);
                if (count > 0)
                {
                    done += (int)count;
                }
                else if (count == 0 || Marshal.GetLastPInvokeError() != (int)Errno.EINTR)
                {
                    throw LinuxException.Last("pwrite", $"BAR {bar} of {_address} at 0x{offset + (ulong)done:x}");
                }
            }
        }
    }

    /// <summary>Sets the memory space bit of the command register, if it is not set: what is exported while it is off is dead (vfio_pci_dmabuf.c).</summary>
    /// <returns>Whether it had to be set.</returns>
    public unsafe bool EnableMemory()
    {
        long offset = checked((long)GetRegion((int)VFIO_PCI_CONFIG_REGION_INDEX).FileOffset) + PCI_COMMAND;
        ushort command = 0;
        // SAFETY: two bytes of a local are read into, and later written from. Configuration space is little-endian, and so is every machine here.
        if (Libc.Pread(this, &command, sizeof(ushort), offset) != sizeof(ushort))
        {
            throw LinuxException.Last("pread of PCI_COMMAND", _address);
        }

        if ((command & PCI_COMMAND_MEMORY) != 0)
        {
            return false;
        }

        command |= PCI_COMMAND_MEMORY;
        return Libc.Pwrite(this, &command, sizeof(ushort), offset) == sizeof(ushort) ? true : throw LinuxException.Last("pwrite of PCI_COMMAND", _address);
    }

    /// <summary>Lets the kernel signal an event; false where the device has no such event.</summary>
    public unsafe bool TrySetEvent(VfioEvent kind, EventFd signal)
    {
        var info = new VfioIrqInfo { Argsz = (uint)sizeof(VfioIrqInfo), Index = (uint)kind };
        if (VfioIoctl.Try(this, VFIO_DEVICE_GET_IRQ_INFO, &info) < 0)
        {
            // The error event exists on PCI Express only (vfio_pci_ioctl_get_irq_info).
            return (Errno)Marshal.GetLastPInvokeError() == Errno.EINVAL ? false : throw LinuxException.Last(nameof(VFIO_DEVICE_GET_IRQ_INFO), $"{kind} of {_address}");
        }

        if (info.Count == 0 || (info.Flags & VFIO_IRQ_INFO_EVENTFD) == 0)
        {
            return false;
        }

        bool held = false;
        signal.DangerousAddRef(ref held);
        try
        {
            var set = new EventMessage
            {
                Header = new VfioIrqSet
                {
                    Argsz = (uint)sizeof(EventMessage),
                    Flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
                    Index = (uint)kind,
                    Count = 1,
                },
                EventFd = (int)signal.DangerousGetHandle(),
            };
            VfioIoctl.Call(this, VFIO_DEVICE_SET_IRQS, &set, nameof(VFIO_DEVICE_SET_IRQS), $"{kind} of {_address}");
            return true;
        }
        finally
        {
            signal.DangerousRelease();
        }
    }

    /// <summary>Resets the function. Every exported buffer is dead meanwhile, and alive again after.</summary>
    /// <exception cref="LinuxException">EINVAL: the device has no way. EAGAIN: another reset is under way.</exception>
    public unsafe void Reset() => VfioIoctl.Call(this, VFIO_DEVICE_RESET, null, nameof(VFIO_DEVICE_RESET), _address);

    /// <summary>The addresses of the functions that a reset of the slot or bus would hit, this one's included; none where there is no such reset.</summary>
    public unsafe ImmutableArray<string> FindHotResetDevices()
    {
        // Without room the kernel tells how many there are; there may be more by the next call.
        for (uint room = 0; ;)
        {
            var message = new byte[sizeof(VfioPciHotResetInfo) + (room * sizeof(VfioPciDependentDevice))];
            // SAFETY: the array is pinned, and as long as Argsz says; the devices follow the header in it, as many as there is room for.
            fixed (byte* start = message)
            {
                var info = (VfioPciHotResetInfo*)start;
                info->Argsz = (uint)message.Length;
                bool isAnswered = VfioIoctl.Try(this, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info) == 0;
                var error = isAnswered ? Errno.None : (Errno)Marshal.GetLastPInvokeError();
                switch (error)
                {
                    case Errno.None:
                        return Addresses(new ReadOnlySpan<VfioPciDependentDevice>(info + 1, (int)Math.Min(info->Count, room)));
                    case Errno.ENOSPC when info->Count > room:
                        room = info->Count;
                        break;
                    case Errno.ENODEV or Errno.ENOTTY or Errno.EPERM:
                        return [];
                    default:
                        throw LinuxException.Last(nameof(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO), _address);
                }
            }
        }
    }

    /// <summary>Resets the slot or bus. <paramref name="group"/> is the proof of ownership of a device that was opened by group; null for one opened by its character device.</summary>
    public unsafe void HotReset(VfioGroup? group)
    {
        bool held = false;
        group?.DangerousAddRef(ref held);
        try
        {
            var reset = new HotResetMessage
            {
                Header = new VfioPciHotReset { Argsz = (uint)sizeof(HotResetMessage), Count = group is null ? 0u : 1u },
                GroupFd = group is null ? -1 : (int)group.DangerousGetHandle(),
            };
            VfioIoctl.Call(this, VFIO_DEVICE_PCI_HOT_RESET, &reset, nameof(VFIO_DEVICE_PCI_HOT_RESET), _address);
        }
        finally
        {
            if (held)
            {
                group!.DangerousRelease();
            }
        }
    }

    public override string ToString() => _address;

    private static string? ReadDevicePath(FileDescriptor file)
    {
        const string Field = "vfio-device-syspath:";
        string[] lines = File.ReadAllLines(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"/proc/self/fdinfo/{file.Number}"));
        return Array.Find(lines, static line => line.StartsWith(Field, StringComparison.Ordinal))?[Field.Length..].Trim();
    }

    private static unsafe (ushort Vendor, ushort Device) ReadIds(FileDescriptor file, string address)
    {
        var info = new VfioRegionInfo { Argsz = (uint)sizeof(VfioRegionInfo), Index = VFIO_PCI_CONFIG_REGION_INDEX };
        VfioIoctl.Call(file, VFIO_DEVICE_GET_REGION_INFO, &info, nameof(VFIO_DEVICE_GET_REGION_INFO), address);
        uint ids = 0;
        // SAFETY: four bytes of a local are read into. Configuration space is little-endian, and so is every machine here.
        return Libc.Pread(file, &ids, sizeof(uint), checked((long)info.Offset)) == sizeof(uint) ? ((ushort)ids, (ushort)(ids >> 16)) : throw LinuxException.Last("pread of the ids", address);
    }

    private static ImmutableArray<string> Addresses(ReadOnlySpan<VfioPciDependentDevice> devices)
    {
        var addresses = ImmutableArray.CreateBuilder<string>(devices.Length);
        foreach (var device in devices)
        {
            addresses.Add(PciAddress.Format(device.Segment, device.Bus, device.Devfn));
        }

        return addresses.MoveToImmutable();
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct EventMessage
    {
        public VfioIrqSet Header;
        public int EventFd;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct HotResetMessage
    {
        public VfioPciHotReset Header;
        public int GroupFd;
    }
}
