// SPDX-License-Identifier: Apache-2.0

using System.Buffers;
using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Devices.Vfio;
using BarBroker.Linux.Pci;

namespace BarBroker.Configuration;

/// <summary>The <c>devices</c> of the configuration file.</summary>
internal static class DeviceEntryReader
{
    private const ulong PageSize = 4096;
    private const ulong LargestBar = 1ul << 40;

    /// <summary>The kernel waits with an unbind meanwhile, and holds locks of the device that others may want.</summary>
    private static readonly TimeSpan LongestRequestGrace = TimeSpan.FromMinutes(10);

    /// <summary>A feature's number has 16 bits (VFIO_DEVICE_FEATURE_MASK, linux/vfio.h).</summary>
    private const int LastFeature = 0xffff;

    private static readonly SearchValues<char> NameCharacters = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

    public static ImmutableArray<DeviceEntry> Read(ObjectReader file)
    {
        var devices = ImmutableArray.CreateBuilder<DeviceEntry>();
        var names = new Dictionary<string, string>(StringComparer.Ordinal);
        var addresses = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var device in file.Objects("devices"))
        {
            string name = device.RequiredText("name");
            if (name.Length > 0 && !IsName(name))
            {
                device.Fault("name", $"\"{name}\" is no device name: 1 to 63 letters, digits, . _ -, the first one a letter or digit");
            }

            FaultIfTaken(device, "name", name, names);
            bool allowSharing = device.Flag("allowSharing", false);
            var grace = device.Duration("requestGrace", DeviceEntry.DefaultRequestGrace, TimeSpan.Zero, LongestRequestGrace);
            if (!device.Has("kind"))
            {
                device.Fault("kind", "is missing: \"simulated\" or \"vfio\"");
                continue;
            }

            switch (device.Choice("kind", "", ("simulated", "simulated"), ("vfio", "vfio")))
            {
                case "simulated":
                    devices.Add(Simulated(device, name, allowSharing) with { RequestGrace = grace });
                    break;
                case "vfio":
                    devices.Add(Vfio(device, name, allowSharing, addresses) with { RequestGrace = grace });
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
        if (address.Length > 0 && !PciAddress.IsCanonical(address))
        {
            device.Fault("address", $"\"{address}\" is no PCI address such as 0000:01:00.0 (domain:bus:device.function, lower case; lspci -D lists them)");
        }

        FaultIfTaken(device, "address", address, addresses);
        var features = device.Section("features");
        var options = new VfioDeviceEntry(
            name, allowSharing, address, Features(features, "revoke"), Features(features, "memattr"));
        features.Finish();
        device.Finish();
        return options;
    }

    /// <summary>Numbers with another settled meaning are refused: some of those features act as soon as they are tried.</summary>
    private static ImmutableArray<int>? Features(ObjectReader features, string name) =>
        features.Has(name) ? [.. features.Numbers(name, VfioFeatureNumbers.LastSettled + 1, LastFeature)] : null;

    private static void FaultIfTaken(ObjectReader device, string key, string value, Dictionary<string, string> taken)
    {
        if (value.Length > 0 && !taken.TryAdd(value, device.Node.Path))
        {
            device.Fault(key, $"\"{value}\" is taken by {taken[value]}");
        }
    }

    public static bool IsName(string text) =>
        text.Length is > 0 and <= 63 && char.IsAsciiLetterOrDigit(text[0]) && !text.AsSpan().ContainsAnyExcept(NameCharacters);
}
