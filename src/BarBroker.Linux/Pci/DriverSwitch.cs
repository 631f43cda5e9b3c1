// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Linux.Pci;

/// <summary>Takes a device from its driver and gives it to another; on failure everything is as it was, or the message says what is not.</summary>
/// <remarks>
/// driver_override decides who may have the device (pci_match_device in drivers/pci/pci-driver.c). It is written before the old driver lets go, so that
/// no driver that is being loaded meanwhile can take the device.
/// </remarks>
public sealed class DriverSwitch(string sysfsRoot, IAttributeWriter writer)
{
    private const string Override = "driver_override";

    /// <summary>Binds the device to a driver that is loaded, and to no other from now on.</summary>
    /// <exception cref="IOException">Why not, and how the device was left.</exception>
    public void Bind(PciNode device, string driver)
    {
        string? driverBefore = device.Driver;
        string? overrideBefore = device.DriverOverride;
        try
        {
            SetOverride(device, driver);
            Unbind(device);
            // Not drivers_probe, which does not tell why a driver refuses.
            writer.Write(DriverFile(driver, "bind"), device.Address);
            Demand(device, driver);
        }
        catch (IOException failure)
        {
            throw new IOException($"{failure.Message}; {Restore(device, driverBefore, overrideBefore)}", failure);
        }
    }

    /// <summary>Lets any driver that knows the device have it, and takes it from the one it has.</summary>
    /// <remarks>Whether another takes it, <see cref="Probe"/> finds out.</remarks>
    /// <exception cref="IOException">Why not, and how the device was left.</exception>
    public void Release(PciNode device)
    {
        string? driverBefore = device.Driver;
        string? overrideBefore = device.DriverOverride;
        try
        {
            SetOverride(device, null);
            Unbind(device);
        }
        catch (IOException failure)
        {
            throw new IOException($"{failure.Message}; {Restore(device, driverBefore, overrideBefore)}", failure);
        }
    }

    /// <summary>Offers a device without a driver to those that are loaded; returns the one that took it, if any.</summary>
    public string? Probe(PciNode device)
    {
        if (device.Driver is null)
        {
            writer.Write(Path.Combine(sysfsRoot, "bus/pci/drivers_probe"), device.Address);
        }

        return device.Driver;
    }

    /// <summary>Whether the kernel has a PCI driver of this name now.</summary>
    public bool IsLoaded(string driver) => Directory.Exists(Path.Combine(sysfsRoot, "bus/pci/drivers", driver));

    private void Unbind(PciNode device)
    {
        if (device.Driver is not { } driver)
        {
            return;
        }

        try
        {
            writer.Write(DriverFile(driver, "unbind"), device.Address);
        }
        catch (LinuxException failure) when (failure.Errno is Errno.ENODEV && device.Driver != driver)
        {
            // Somebody else was faster; what matters is that it is unbound.
        }

        if (device.Driver is { } still)
        {
            throw new IOException($"{device.Address} was unbound from {driver}, and has the driver {still} now");
        }
    }

    private static void Demand(PciNode device, string driver)
    {
        string? now = device.Driver;
        if (now != driver)
        {
            throw new IOException($"the kernel reported no error, and {device.Address} has {(now is null ? "no driver" : $"the driver {now}")}, not {driver}");
        }
    }

    private string Restore(PciNode device, string? driver, string? overrideBefore)
    {
        try
        {
            SetOverride(device, overrideBefore);
            if (device.Driver != driver)
            {
                Unbind(device);
                if (driver is not null)
                {
                    writer.Write(DriverFile(driver, "bind"), device.Address);
                    Demand(device, driver);
                }
            }

            return driver is null ? "it is without a driver again" : $"it is with its driver {driver} again";
        }
        catch (IOException failure)
        {
            string now = device.Driver is { } other ? $"it has the driver {other}" : "it has no driver";
            return $"what was before could not be restored ({failure.Message}): {now}, before that {driver ?? "none"}, and its driver_override is '{device.DriverOverride}'";
        }
    }

    /// <remarks>An empty line takes the override away (__device_set_driver_override in drivers/base/dd.c).</remarks>
    private void SetOverride(PciNode device, string? driver) => writer.Write(device.Attribute(Override), driver ?? "\n");

    private string DriverFile(string driver, string name) => Path.Combine(sysfsRoot, "bus/pci/drivers", driver, name);
}
