// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>Sizes for people: in the largest unit that leaves no fraction.</summary>
internal static class ByteText
{
    private static readonly string[] Units = ["bytes", "KiB", "MiB", "GiB", "TiB"];

    public static string Of(ulong bytes)
    {
        int unit = 0;
        for (; unit < Units.Length - 1 && bytes >= 1024 && bytes % 1024 == 0; bytes /= 1024)
            unit++;
        return $"{bytes} {Units[unit]}";
    }
}
