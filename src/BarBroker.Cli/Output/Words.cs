// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using System.Text.Json;
using BarBroker.Client;

namespace BarBroker.Cli.Output;

/// <summary>How values are written, the same in every format.</summary>
internal static class Words
{
    private static readonly string[] _units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

    /// <summary>The name in the protocol without its prefix, in lower case: <c>client_exited</c>.</summary>
    public static string Of<T>(T value) where T : struct, Enum => JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString());

    /// <summary>Null for a value that says nothing.</summary>
    public static string? OrNull<T>(T value) where T : struct, Enum => Convert.ToInt32(value, CultureInfo.InvariantCulture) == 0 ? null : Of(value);

    /// <summary>In the largest unit, cut to two decimals: never more than there is.</summary>
    public static string Bytes(ulong bytes)
    {
        int unit = 0;
        double value = bytes;
        while (value >= 1024 && unit < _units.Length - 1)
        {
            value /= 1024;
            unit++;
        }

        return string.Create(CultureInfo.InvariantCulture, $"{Math.Floor(value * 100) / 100:0.##} {_units[unit]}");
    }

    public static string Seconds(double? seconds) => seconds switch
    {
        null => "-",
        < 10 => string.Create(CultureInfo.InvariantCulture, $"{seconds:0.0}s"),
        < 120 => string.Create(CultureInfo.InvariantCulture, $"{seconds:0}s"),
        < 7200 => string.Create(CultureInfo.InvariantCulture, $"{seconds / 60:0}m"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{seconds / 3600:0}h"),
    };

    /// <summary>Such as "1 lease", "2 leases".</summary>
    public static string Leases(long count) => count == 1 ? "1 lease" : string.Create(CultureInfo.InvariantCulture, $"{count} leases");

    public static string Range(ulong offset, ulong length) => new BarRange(offset, length).ToString();

    /// <summary>Names and labels come from other users: what could steer a terminal becomes a question mark.</summary>
    public static string Printable(string text) => text.Any(char.IsControl) ? string.Concat(text.Select(letter => char.IsControl(letter) && letter != '\n' ? '?' : letter)) : text;
}
