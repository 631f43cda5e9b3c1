// SPDX-License-Identifier: Apache-2.0

using System.Globalization;

namespace BarBroker.Client;

/// <summary>A run of bytes of one BAR.</summary>
/// <param name="Offset">Bytes from the start of the BAR, a multiple of the page size.</param>
/// <param name="Length">Bytes, a multiple of the page size, never 0.</param>
public readonly record struct BarRange(ulong Offset, ulong Length)
{
    /// <summary>As in <c>0x1000+0x2000</c>: offset and length.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"0x{Offset:x}+0x{Length:x}");
}
