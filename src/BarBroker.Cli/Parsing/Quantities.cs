// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using BarBroker.Client;

namespace BarBroker.Cli.Parsing;

/// <summary>Sizes, durations and ranges as people write them, the same as in the broker's configuration.</summary>
internal static class Quantities
{
    private static readonly (string Suffix, int Shift)[] _sizes = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    private static readonly (string Suffix, double Seconds)[] _times = [("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600)];

    /// <summary>Bytes: <c>4096</c>, <c>0x1000</c>, <c>4KiB</c>, <c>64MiB</c>, <c>1GiB</c>.</summary>
    public static bool TrySize(ReadOnlySpan<char> text, out ulong bytes)
    {
        foreach (var (suffix, shift) in _sizes)
        {
            if (text.EndsWith(suffix, StringComparison.OrdinalIgnoreCase))
            {
                return TryNumber(text[..^suffix.Length], out bytes) && TryShift(ref bytes, shift);
            }
        }

        return TryNumber(text, out bytes);
    }

    /// <summary><c>250ms</c>, <c>30s</c>, <c>5m</c>, <c>1h</c>; a bare number is seconds.</summary>
    public static bool TryDuration(ReadOnlySpan<char> text, out TimeSpan duration)
    {
        double unit = 1;
        foreach (var (suffix, seconds) in _times)
        {
            if (text.EndsWith(suffix, StringComparison.Ordinal))
            {
                text = text[..^suffix.Length];
                unit = seconds;
                break;
            }
        }

        duration = default;
        if (!double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double value) || !(value * unit <= TimeSpan.MaxValue.TotalSeconds / 2))
        {
            return false;
        }

        duration = TimeSpan.FromSeconds(value * unit);
        return true;
    }

    /// <summary>As of RFC 3339, also without the seconds, the time or the zone, which is the local one then; or a duration before <paramref name="now"/>.</summary>
    public static bool TryMoment(string text, DateTimeOffset now, out DateTimeOffset moment)
    {
        if (TryDuration(text, out var ago))
        {
            bool isPossible = ago < now - DateTimeOffset.UnixEpoch;
            moment = isPossible ? now - ago : DateTimeOffset.UnixEpoch;
            return true;
        }

        string[] forms = ["yyyy-MM-dd", "yyyy-MM-dd'T'HH:mm", "yyyy-MM-dd'T'HH:mm:ss", "yyyy-MM-dd HH:mm", "yyyy-MM-dd HH:mm:ss", "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK", "yyyy-MM-dd'T'HH:mm:ssK", "yyyy-MM-dd'T'HH:mmK"];
        return DateTimeOffset.TryParseExact(text, forms, CultureInfo.InvariantCulture, DateTimeStyles.AssumeLocal, out moment);
    }

    /// <summary>An offset and a length: <c>0x1000+8KiB</c>.</summary>
    public static bool TryRange(ReadOnlySpan<char> text, out BarRange range)
    {
        int plus = text.IndexOf('+');
        range = default;
        if (plus < 0 || !TrySize(text[..plus], out ulong offset) || !TrySize(text[(plus + 1)..], out ulong length))
        {
            return false;
        }

        range = new BarRange(offset, length);
        return true;
    }

    /// <summary>A BAR, and a size or ranges of it: <c>2:64KiB</c>, <c>0:0x4000+0x1000,0x0+0x1000</c>.</summary>
    public static BufferSpec? ToBuffer(string text)
    {
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        if (colon < 0 || !int.TryParse(text.AsSpan(0, colon), NumberStyles.None, CultureInfo.InvariantCulture, out int bar))
        {
            return null;
        }

        string rest = text[(colon + 1)..];
        if (TrySize(rest, out ulong size))
        {
            return BufferSpec.OfSize(size, bar);
        }

        var ranges = new List<BarRange>();
        foreach (string part in rest.Split(','))
        {
            if (!TryRange(part, out var range))
            {
                return null;
            }

            ranges.Add(range);
        }

        return BufferSpec.OfRanges(bar, [.. ranges]);
    }

    private static bool TryNumber(ReadOnlySpan<char> text, out ulong value) => text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
        ? ulong.TryParse(text[2..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value)
        : ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value);

    private static bool TryShift(ref ulong bytes, int shift)
    {
        if (bytes > ulong.MaxValue >> shift)
        {
            return false;
        }

        bytes <<= shift;
        return true;
    }
}
