// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>
/// Ids are the epoch in Crockford's base32 (no i, l, o, u, which are misread), with a prefix that tells what it is: "ls-001f". An epoch is never
/// used twice, so neither is an id.
/// </summary>
internal static class LeaseId
{
    public const string Prefix = "ls-";
    private const string Digits = "0123456789abcdefghjkmnpqrstvwxyz";
    private const int MinDigits = 4;
    private const int MaxDigits = 13;

    public static string FromEpoch(ulong epoch)
    {
        Span<char> text = stackalloc char[MaxDigits];
        int at = MaxDigits;
        for (; epoch != 0 || at > MaxDigits - MinDigits; epoch >>= 5)
            text[--at] = Digits[(int)(epoch & 31)];
        return string.Concat(Prefix, text[at..]);
    }
}
