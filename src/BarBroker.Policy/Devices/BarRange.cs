// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Devices;

/// <summary>A run of bytes of a BAR. Both numbers are bytes; a valid range is page-aligned, not empty and inside its BAR.</summary>
internal readonly record struct BarRange(ulong Offset, ulong Length)
{
    /// <summary>The first byte behind the range. Throws <see cref="OverflowException"/> where 64 bits do not hold it.</summary>
    public ulong End => checked(Offset + Length);

    public override string ToString() => $"[0x{Offset:x}, +0x{Length:x})";
}
