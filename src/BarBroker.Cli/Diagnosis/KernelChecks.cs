// SPDX-License-Identifier: Apache-2.0

using System.Text.RegularExpressions;
using BarBroker.Cli.Binding;

namespace BarBroker.Cli.Diagnosis;

/// <summary>What the kernel and the firmware must offer (docs/kernel.md).</summary>
internal static partial class KernelChecks
{
    private static readonly Version _firstWithExport = new(6, 19);

    public static IEnumerable<Finding> Run(Host host) => [.. Kernel(host), Iommu(host), .. UnsafeModes(host), .. Drivers(host), Interface(host)];

    private static IEnumerable<Finding> Kernel(Host host)
    {
        string release = Host.Read(Path.Combine(host.Roots.Proc, "sys/kernel/osrelease")) ?? "";
        if (VersionPattern().Match(release) is not { Success: true } match)
        {
            yield return Finding.Warn("kernel", $"the kernel's release is '{release}', which is no version: what it offers is not known", "Compare it with docs/kernel.md.");
            yield break;
        }

        var version = Version.Parse(match.Value);
        if (version < _firstWithExport)
        {
            yield return Finding.Fail(
                "kernel",
                $"Linux {release} is too old: VFIO exports BARs as dma-bufs from 6.19 on, so no device can be served",
                "Boot Linux 6.19 or newer, with CONFIG_VFIO_PCI_DMABUF. Simulated devices work on any.");
            yield break;
        }

        yield return Finding.Ok("kernel", $"Linux {release} is new enough to export BARs as dma-bufs");
        foreach (var fault in KernelFault.Known.Where(fault => fault.IsIn(version)))
        {
            bool isHandled = fault.Remedy is null && host.HasDriver(DriverChoice.Preferred);
            yield return isHandled
                ? Finding.Ok("kernel-fault", $"Linux {version}: {fault.Message}; {DriverChoice.Preferred} works around it")
                : Finding.Warn("kernel-fault", $"Linux {version}: {fault.Message}", fault.Remedy ?? $"Use the driver {DriverChoice.Preferred}, which works around it (kernel/README.md).");
        }
    }

    private static Finding Iommu(Host host)
    {
        bool hasUnits = Host.HasEntries(Path.Combine(host.Roots.Sys, "class/iommu"));
        bool hasGroups = Host.HasEntries(Path.Combine(host.Roots.Sys, "kernel/iommu_groups"));
        const string remedy = "Switch it on in the firmware (VT-d, AMD-Vi, SMMU) and, on Intel, with intel_iommu=on on the kernel's command line; in a virtual machine, give it one.";
        return (hasUnits, hasGroups) switch
        {
            (true, true) => Finding.Ok("iommu", "the IOMMU is on"),
            (false, true) => Finding.Warn("iommu", "there are IOMMU groups, and no IOMMU in /sys/class/iommu: perhaps only vfio's no-IOMMU mode, in which nothing keeps a device from the machine's memory", remedy),
            _ => Finding.Fail("iommu", $"the IOMMU is off: /sys/{(hasUnits ? "kernel/iommu_groups" : "class/iommu")} is empty, and no device can be served", remedy),
        };
    }

    private static IEnumerable<Finding> UnsafeModes(Host host)
    {
        if (Parameter(host, "vfio", "enable_unsafe_noiommu_mode") is "Y" or "1")
        {
            yield return Finding.Warn("unsafe-modes", "vfio was loaded with enable_unsafe_noiommu_mode; the broker serves no device in that mode, others may", "Load vfio without that parameter.");
        }

        if (Parameter(host, "vfio_iommu_type1", "allow_unsafe_interrupts") is "Y" or "1")
        {
            yield return Finding.Warn("unsafe-modes", "vfio_iommu_type1 was loaded with allow_unsafe_interrupts: whoever drives a device can raise any interrupt of the host", "Switch interrupt remapping on in the firmware, and load the module without that parameter.");
        }
    }

    private static IEnumerable<Finding> Drivers(Host host)
    {
        bool hasPreferred = host.HasDriver(DriverChoice.Preferred);
        if (!hasPreferred && !host.HasDriver(DriverChoice.Fallback))
        {
            yield return Finding.Fail("modules", $"neither {DriverChoice.Preferred} nor {DriverChoice.Fallback} is loaded", "`modprobe vfio-pci`, or `barctl device bind`, which loads what it needs. The driver vfio-bar-lease is in kernel/.");
        }
        else
        {
            yield return hasPreferred
                ? Finding.Ok("modules", $"{DriverChoice.Preferred} is loaded: leases end one by one, and processes can map buffers")
                : Finding.Warn(
                    "modules",
                    $"{DriverChoice.Fallback} is loaded and {DriverChoice.Preferred} is not: with a kernel as released, ending a lease ends all leases of its device, and processes cannot map buffers",
                    "Install kernel/ (its README.md says how) and bind the devices again; or go without, as docs/kernel.md describes.");
        }
    }

    private static Finding Interface(Host host)
    {
        bool hasContainer = File.Exists(Path.Combine(host.Roots.Dev, "vfio/vfio"));
        bool hasIommufd = File.Exists(Path.Combine(host.Roots.Dev, "iommu"));
        return hasContainer || hasIommufd
            ? Finding.Ok("vfio", $"/dev/{(hasIommufd ? "iommu" : "vfio/vfio")} is there")
            : Finding.Fail("vfio", "neither /dev/vfio/vfio nor /dev/iommu is there", "`modprobe -a vfio-pci vfio_iommu_type1`; deploy/modules-load.d loads them at each boot. In a container: pass the nodes in.");
    }

    private static string? Parameter(Host host, string module, string name) => Host.Read(Path.Combine(host.Roots.Sys, "module", module, "parameters", name));

    [GeneratedRegex(@"^\d+\.\d+")]
    private static partial Regex VersionPattern();
}
