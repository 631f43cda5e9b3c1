// SPDX-License-Identifier: Apache-2.0

using System.Globalization;

namespace BarBroker.Configuration;

/// <summary>Durations (<c>250ms</c>, <c>30s</c>, <c>5m</c>, <c>1h</c>) and sizes (<c>4096</c>, <c>4KiB</c>, <c>64MiB</c>, <c>1GiB</c>), as people write them.</summary>
internal static class Quantity
{
    private static readonly (string Suffix, long Milliseconds)[] TimeUnits = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

    private static readonly (string Suffix, ulong Bytes)[] SizeUnits = [("KiB", 1ul << 10), ("MiB", 1ul << 20), ("GiB", 1ul << 30), ("TiB", 1ul << 40)];

    public static bool TryParseDuration(string text, out TimeSpan duration)
    {
        duration = default;
        foreach (var (suffix, milliseconds) in TimeUnits)
        {
            if (text.EndsWith(suffix, StringComparison.Ordinal)
                && uint.TryParse(text.AsSpan(0, text.Length - suffix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out uint number))
            {
                duration = TimeSpan.FromMilliseconds(number * milliseconds);
                return true;
            }
        }

        return false;
    }

    public static bool TryParseSize(string text, out ulong bytes)
    {
        foreach (var (suffix, unit) in SizeUnits)
        {
            if (text.EndsWith(suffix, StringComparison.Ordinal))
            {
                bool valid = ulong.TryParse(text.AsSpan(0, text.Length - suffix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out ulong number)
                    && number <= ulong.MaxValue / unit;
                bytes = valid ? number * unit : 0;
                return valid;
            }
        }

        return ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out bytes);
    }

    /// <summary>The shortest exact form, which the parser takes back.</summary>
    public static string Format(TimeSpan duration)
    {
        long milliseconds = (long)duration.TotalMilliseconds;
        var (suffix, unit) = TimeUnits.Last(unit => unit.Milliseconds == 1 || (milliseconds != 0 && milliseconds % unit.Milliseconds == 0));
        return string.Create(CultureInfo.InvariantCulture, $"{milliseconds / unit}{suffix}");
    }

    /// <summary>The shortest exact form, which the parser takes back.</summary>
    public static string Format(ulong bytes)
    {
        foreach (var (suffix, unit) in SizeUnits.Reverse())
        {
            if (bytes != 0 && bytes % unit == 0)
            {
                return string.Create(CultureInfo.InvariantCulture, $"{bytes / unit}{suffix}");
            }
        }

        return bytes.ToString(CultureInfo.InvariantCulture);
    }
}
