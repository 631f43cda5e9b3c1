// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux;
using BarBroker.Linux.Pci;

namespace BarBroker.Devices.Vfio;

/// <summary>
/// Finds out, after the broker has closed its device file, that it was the last one: only then has the kernel ended every access to what was exported
/// (vfio_df_close calls vfio_pci_core_close_device, and that vfio_pci_dma_buf_cleanup, for the last file only; the cleanup is done when close returns).
/// </summary>
/// <remarks>
/// The broker's file is close-on-exec, never duplicated, mapped or passed on, so it should always be the last. But a child that was forked and has not called exec
/// yet holds it, too; and what should be is no proof.
/// </remarks>
internal sealed class VfioCloseProof(PciNode device, VfioGroupSlot group, string sysfsRoot, int? enabledBefore, int? enabledWhileOpen)
{
    /// <summary>Throws if somebody may still hold a file of the device.</summary>
    public void Demand()
    {
        switch (group.IsUnheld(sysfsRoot))
        {
            case true:
                return;
            case false:
                throw new LinuxException("open", $"the group of {device.Address}, to prove that nobody holds the device any more; somebody does", Errno.EBUSY);
            case null:
                DemandDisabled();
                return;
        }
    }

    /// <remarks>
    /// vfio enables the function at the first open of a device and disables it at the last close, after the buffers were cleaned up (vfio_pci_core_enable and
    /// vfio_pci_core_disable). So the count that went up by one when this broker opened it, and is back, tells of the last close. A function that
    /// is gone from sysfs was taken from its driver before, which waits for every device file.
    /// </remarks>
    private void DemandDisabled()
    {
        int? now = device.EnableCount;
        if (now is null && !device.Exists)
        {
            return;
        }

        if (enabledWhileOpen != enabledBefore + 1 || now is null || now != enabledBefore)
        {
            throw new IOException(
                $"{device.Address} was closed, but nothing proves that nobody else holds it: it was enabled {Count(enabledBefore)} before it was opened, {Count(enabledWhileOpen)} while open, {Count(now)} now.");
        }
    }

    private static string Count(int? count) => count is { } times ? $"{times} times" : "an unknown number of times";
}
