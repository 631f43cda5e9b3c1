// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using BarBroker.Linux.Pci;

namespace BarBroker.Devices.Vfio;

/// <summary>Finds out that nobody has a PCI device open by vfio, of which this broker has closed what it had: then the kernel has ended every access to what was exported.</summary>
/// <remarks>
/// For a device that this broker does not open, so that nothing is known of it but what sysfs and its group tell; see <see cref="VfioCloseProof"/> and <see cref="VfioGroupSlot.IsUnheld"/> for what that proves.
/// A function that is enabled by nobody is not open: vfio enables it at the first open and disables it at the last close, after the buffers were cleaned up.
/// </remarks>
internal static class VfioAbsence
{
    /// <returns>Why it is not certain; null: it is.</returns>
    public static string? Doubt(string sysfsRoot, string devRoot, string address)
    {
        if (!Directory.Exists(Path.Combine(sysfsRoot, "bus/pci/devices")))
        {
            return "sysfs shows no PCI devices at all";
        }

        var device = new PciNode(sysfsRoot, address);
        int? enabled = device.EnableCount;
        if (enabled is 0 || (enabled is null && !device.Exists))
        {
            return null;
        }

        string state = $"{address} is enabled{(enabled is { } times ? string.Create(CultureInfo.InvariantCulture, $" {times} times") : ", by whom is not known")}";
        try
        {
            return (device.Group is { } group ? VfioGroupSlot.Of(devRoot, group).IsUnheld(sysfsRoot) : null) switch
            {
                true => null,
                false => $"{state}, and somebody has its group open",
                null => $"{state}, and its group cannot be opened to find out who has it",
            };
        }
        catch (IOException exception)
        {
            return $"{state}; {exception.Message}";
        }
    }
}
