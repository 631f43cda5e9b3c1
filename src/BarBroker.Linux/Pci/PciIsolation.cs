// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Linux.Pci;

/// <summary>Whether the IOMMU keeps a device from the machine's memory.</summary>
public static class PciIsolation
{
    /// <summary>Why it does not, and what to do; null if it does.</summary>
    public static string? Missing(PciNode device)
    {
        if (device.Group is null)
        {
            return $"{device.Address} is in no IOMMU group: the IOMMU is off. Switch it on in the firmware (VT-d, AMD-Vi, SMMU) and, on Intel, with intel_iommu=on on the kernel's command line.";
        }

        return device.IsNoIommu
            ? $"{device.Address} is in vfio's no-IOMMU mode, where nothing keeps it from the machine's memory; it is not served. Switch the IOMMU on and load vfio without enable_unsafe_noiommu_mode."
            : null;
    }
}
