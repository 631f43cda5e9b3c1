// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.Text.RegularExpressions;
using BarBroker.Devices;

namespace BarBroker.Configuration;

/// <summary>The <c>devices</c> of the configuration file.</summary>
internal static partial class DeviceEntryReader
{
    private const ulong PageSize = 4096;
    private const ulong LargestBar = 1ul << 40;

    /// <summary>A feature's number has 16 bits (VFIO_DEVICE_FEATURE_MASK, linux/vfio.h).</summary>
    private const int LastFeature = 0xffff;

    public static ImmutableArray<DeviceEntry> Read(ObjectReader file)
    {
        var devices = ImmutableArray.CreateBuilder<DeviceEntry>();
        var names = new Dictionary<string, string>(StringComparer.Ordinal);
        var addresses = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var device in file.Objects("devices"))
        {
            string name = device.RequiredText("name");
            if (name.Length > 0 && !NamePattern().IsMatch(name))
            {
                device.Fault("name", $"\"{name}\" is no device name: 1 to 63 letters, digits, . _ -, the first one a letter or digit");
            }

            FaultIfTaken(device, "name", name, names);
            bool allowSharing = device.Flag("allowSharing", false);
            if (!device.Has("kind"))
            {
                device.Fault("kind", "is missing: \"simulated\" or \"vfio\"");
                continue;
            }

            switch (device.Choice("kind", "", ("simulated", "simulated"), ("vfio", "vfio")))
            {
                case "simulated":
                    devices.Add(Simulated(device, name, allowSharing));
                    break;
                case "vfio":
                    devices.Add(Vfio(device, name, allowSharing, addresses));
                    break;
            }
        }

        return devices.ToImmutable();
    }

    private static SimulatedDeviceEntry Simulated(ObjectReader device, string name, bool allowSharing)
    {
        var bars = ImmutableArray.CreateBuilder<BarDescription>();
        foreach (var bar in device.Objects("bars"))
        {
            if (!bar.Has("size"))
            {
                bar.Fault("size", "is missing");
            }

            int index = bar.Number("index", 0, 0, 5);
            ulong size = bar.Size("size", PageSize, PageSize, LargestBar);
            if (size % PageSize != 0)
            {
                bar.Fault("size", $"{size} is no multiple of the page size, {PageSize}");
            }

            if (bars.Any(other => other.Index == index))
            {
                bar.Fault("index", $"BAR {index} is there twice");
            }

            bars.Add(new BarDescription(index, size));
            bar.Finish();
        }

        if (bars.Count == 0)
        {
            device.Fault("bars", "a simulated device needs at least one, such as { \"index\": 0, \"size\": \"64MiB\" }");
        }

        var domain = device.Choice(
            "domain", RevocationDomain.Selective, ("selective", RevocationDomain.Selective), ("device", RevocationDomain.Device), ("none", RevocationDomain.None));
        string? faults = device.Text("faults");
        if (faults is { Length: > 0 } && !Path.IsPathRooted(faults))
        {
            device.Fault("faults", $"\"{faults}\" is not absolute; write it from / on");
        }

        device.Finish();
        return new SimulatedDeviceEntry(name, allowSharing, bars.ToImmutable(), domain, faults);
    }

    private static VfioDeviceEntry Vfio(ObjectReader device, string name, bool allowSharing, Dictionary<string, string> addresses)
    {
        string address = device.RequiredText("address");
        if (address.Length > 0 && !AddressPattern().IsMatch(address))
        {
            device.Fault("address", $"\"{address}\" is no PCI address such as 0000:01:00.0 (domain:bus:device.function, lower case; lspci -D lists them)");
        }

        FaultIfTaken(device, "address", address, addresses);
        var features = device.Section("features");
        var options = new VfioDeviceEntry(
            name, allowSharing, address, [.. features.Numbers("revoke", 0, LastFeature)], [.. features.Numbers("memattr", 0, LastFeature)]);
        features.Finish();
        device.Finish();
        return options;
    }

    private static void FaultIfTaken(ObjectReader device, string key, string value, Dictionary<string, string> taken)
    {
        if (value.Length > 0 && !taken.TryAdd(value, device.Node.Path))
        {
            device.Fault(key, $"\"{value}\" is taken by {taken[value]}");
        }
    }

    [GeneratedRegex(@"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}\z", RegexOptions.CultureInvariant)]
    private static partial Regex NamePattern();

    [GeneratedRegex(@"^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]\z", RegexOptions.CultureInvariant)]
    private static partial Regex AddressPattern();
}
