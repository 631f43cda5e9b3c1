// SPDX-License-Identifier: Apache-2.0

using System.Buffers;
using System.Globalization;

namespace BarBroker.Linux.Pci;

/// <summary>The spelling of PCI addresses: domain, bus, device, function.</summary>
public static class PciAddress
{
    private static readonly SearchValues<char> _lowerHex = SearchValues.Create("0123456789abcdef");

    /// <summary>As sysfs spells it: <c>0000:01:00.0</c>, the domain with up to eight digits.</summary>
    public static bool IsCanonical(string text)
    {
        string[] parts = text.Split(':', '.');
        return parts is [{ Length: >= 4 and <= 8 }, { Length: 2 }, { Length: 2 }, { Length: 1 }]
            && text.LastIndexOf(':') < text.IndexOf('.', StringComparison.Ordinal)
            && parts.All(part => !part.AsSpan().ContainsAnyExcept(_lowerHex))
            && parts[2][0] is '0' or '1'
            && parts[3][0] < '8';
    }

    /// <summary>As sysfs spells it, of the numbers that the kernel has: device and function are five and three bits of <paramref name="devfn"/>.</summary>
    public static string Format(int domain, int bus, int devfn) => string.Create(CultureInfo.InvariantCulture, $"{domain:x4}:{bus:x2}:{devfn >> 3:x2}.{devfn & 7}");

    /// <summary>Also takes what lspci prints without <c>-D</c>, <c>01:00.0</c>, and capitals. Null for what is no address.</summary>
    public static string? Parse(string text)
    {
        string address = text.ToLowerInvariant();
        address = address.Count(static letter => letter == ':') == 1 ? "0000:" + address : address;
        return IsCanonical(address) ? address : null;
    }
}
