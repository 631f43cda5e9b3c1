// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Tests.Abi;
using BarBroker.Linux.Vfio;
using BarBroker.Linux.Vfio.Interop;

namespace BarBroker.Linux.Tests.Vfio;

/// <summary>Every number and layout of <c>BarBroker.Linux.Vfio</c>, against the system's headers.</summary>
public sealed class VfioAbiTests
{
    /// <summary>Not in the headers of every supported system: linux/iommufd.h came with 6.2, the cdev way with 6.6, dmabufs with 6.19; revoke and memory attribute are a proposal.</summary>
    private static readonly string[] NewerThanOldHeaders =
    [
        "VFIO_DEVICE_BIND_IOMMUFD", "VFIO_DEVICE_ATTACH_IOMMUFD_PT", "IOMMU_IOAS_ALLOC", "VFIO_DEVICE_FEATURE_DMA_BUF",
        "vfio_device_bind_iommufd", "vfio_device_attach_iommufd_pt", "iommu_ioas_alloc", "vfio_device_feature_dma_buf", "vfio_region_dma_range",
        "vfio_device_feature_dma_buf_revoke", "vfio_device_feature_dma_buf_memattr",
    ];

    private static readonly Lazy<AbiResult> Result = new(() => Compare().Run("vfio"));

    [Fact]
    public void Interop_AllOfIt_IsWhatTheHeadersSay() => Result.Value.AssertEqual(NewerThanOldHeaders);

    [Fact]
    public void Interop_NewerThanTheHeaders_IsNotCompared() => Result.Value.SkipIfUnknown();

    [Fact]
    public void Interop_EveryStruct_IsCompared()
    {
        Type[] compared =
        [
            typeof(IommuIoasAlloc), typeof(VfioDeviceAttachIommufdPt), typeof(VfioDeviceBindIommufd), typeof(VfioDeviceFeature), typeof(VfioDeviceFeatureDmaBuf),
            typeof(VfioDeviceFeatureDmaBufMemattr), typeof(VfioDeviceFeatureDmaBufRevoke), typeof(VfioDeviceInfo), typeof(VfioGroupStatus), typeof(VfioIrqInfo),
            typeof(VfioIrqSet), typeof(VfioPciDependentDevice), typeof(VfioPciHotReset), typeof(VfioPciHotResetInfo), typeof(VfioRegionInfo),
        ];

        Assert.Equal(compared, AbiTests.StructsOf("BarBroker.Linux.Vfio.Interop"));
    }

    private static AbiComparison Compare() => new AbiComparison("linux/vfio.h", "linux/iommufd.h", "linux/pci_regs.h")
        .Constants(typeof(VfioConstants), "VFIO_PCI_CONFIG_REGION_INDEX", "VFIO_PCI_ERR_IRQ_INDEX", "VFIO_PCI_REQ_IRQ_INDEX")
        .Struct<IommuIoasAlloc>("struct iommu_ioas_alloc", since: "6.2")
        .Struct<VfioDeviceAttachIommufdPt>("struct vfio_device_attach_iommufd_pt", isPrefix: true, since: "6.6")
        .Struct<VfioDeviceBindIommufd>("struct vfio_device_bind_iommufd", isPrefix: true, since: "6.6")
        .Struct<VfioDeviceFeature>("struct vfio_device_feature")
        .Struct<VfioDeviceFeatureDmaBuf>("struct vfio_device_feature_dma_buf", since: "6.19")
        .Struct<VfioDmaRange>("struct vfio_region_dma_range", new() { ["<Offset>k__BackingField"] = "offset", ["<Length>k__BackingField"] = "length" }, since: "6.19")
        .Struct<VfioDeviceFeatureDmaBufRevoke>("struct vfio_device_feature_dma_buf_revoke", since: InNoRelease)
        .Struct<VfioDeviceFeatureDmaBufMemattr>("struct vfio_device_feature_dma_buf_memattr", since: InNoRelease)
        .Struct<VfioDeviceInfo>("struct vfio_device_info", isPrefix: true)
        .Struct<VfioGroupStatus>("struct vfio_group_status")
        .Struct<VfioIrqInfo>("struct vfio_irq_info")
        .Struct<VfioIrqSet>("struct vfio_irq_set")
        .Struct<VfioPciDependentDevice>("struct vfio_pci_dependent_device")
        .Struct<VfioPciHotReset>("struct vfio_pci_hot_reset")
        .Struct<VfioPciHotResetInfo>("struct vfio_pci_hot_reset_info")
        .Struct<VfioRegionInfo>("struct vfio_region_info");

    private const string InNoRelease = "99.0";
}
