// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Linux.Vfio.Interop;

/// <summary>Numbers of linux/vfio.h, linux/iommufd.h and linux/pci_regs.h in their own spelling. The tests compare each with the system's headers.</summary>
internal static class VfioConstants
{
    internal const int VFIO_API_VERSION = 0;
    internal const uint VFIO_TYPE1v2_IOMMU = 3;

    internal const uint VFIO_GET_API_VERSION = 0x3B64;
    internal const uint VFIO_CHECK_EXTENSION = 0x3B65;
    internal const uint VFIO_SET_IOMMU = 0x3B66;
    internal const uint VFIO_GROUP_GET_STATUS = 0x3B67;
    internal const uint VFIO_GROUP_SET_CONTAINER = 0x3B68;
    internal const uint VFIO_GROUP_UNSET_CONTAINER = 0x3B69;
    internal const uint VFIO_GROUP_GET_DEVICE_FD = 0x3B6A;
    internal const uint VFIO_DEVICE_GET_INFO = 0x3B6B;
    internal const uint VFIO_DEVICE_GET_REGION_INFO = 0x3B6C;
    internal const uint VFIO_DEVICE_GET_IRQ_INFO = 0x3B6D;
    internal const uint VFIO_DEVICE_SET_IRQS = 0x3B6E;
    internal const uint VFIO_DEVICE_RESET = 0x3B6F;
    internal const uint VFIO_DEVICE_GET_PCI_HOT_RESET_INFO = 0x3B70;
    internal const uint VFIO_DEVICE_PCI_HOT_RESET = 0x3B71;
    internal const uint VFIO_DEVICE_FEATURE = 0x3B75;
    internal const uint VFIO_DEVICE_BIND_IOMMUFD = 0x3B76;
    internal const uint VFIO_DEVICE_ATTACH_IOMMUFD_PT = 0x3B77;
    internal const uint IOMMU_IOAS_ALLOC = 0x3B81;

    internal const uint VFIO_GROUP_FLAGS_VIABLE = 1;
    internal const uint VFIO_GROUP_FLAGS_CONTAINER_SET = 2;

    internal const uint VFIO_DEVICE_FLAGS_RESET = 1;
    internal const uint VFIO_DEVICE_FLAGS_PCI = 2;

    internal const uint VFIO_REGION_INFO_FLAG_READ = 1;
    internal const uint VFIO_REGION_INFO_FLAG_WRITE = 2;
    internal const uint VFIO_REGION_INFO_FLAG_MMAP = 4;

    internal const uint VFIO_PCI_CONFIG_REGION_INDEX = 7;

    internal const uint VFIO_IRQ_INFO_EVENTFD = 1;
    internal const uint VFIO_IRQ_SET_DATA_EVENTFD = 4;
    internal const uint VFIO_IRQ_SET_ACTION_TRIGGER = 32;
    internal const uint VFIO_PCI_ERR_IRQ_INDEX = 3;
    internal const uint VFIO_PCI_REQ_IRQ_INDEX = 4;

    internal const uint VFIO_DEVICE_FEATURE_MASK = 0xffff;
    internal const uint VFIO_DEVICE_FEATURE_GET = 1 << 16;
    internal const uint VFIO_DEVICE_FEATURE_SET = 1 << 17;
    internal const uint VFIO_DEVICE_FEATURE_PROBE = 1 << 18;
    internal const uint VFIO_DEVICE_FEATURE_DMA_BUF = 11;

    internal const int PCI_COMMAND = 4;
    internal const ushort PCI_COMMAND_MEMORY = 2;
}
