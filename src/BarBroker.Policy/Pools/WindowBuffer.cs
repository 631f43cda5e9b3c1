// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;

namespace BarBroker.Pools;

/// <summary>A part of a BAR of which requests say how much they want.</summary>
/// <param name="Length">Null: to the end of the BAR.</param>
/// <param name="Granularity">Offsets and sizes of what is granted are multiples of it. A power of two.</param>
/// <param name="Alignment">Offsets are multiples of it, too. A power of two.</param>
/// <param name="AllowSplit">Requests may be given several ranges, if they allow it.</param>
internal sealed record WindowBuffer(int Bar, ulong Offset, ulong? Length, ulong Granularity, ulong Alignment, bool AllowSplit) : PoolBuffer(Bar, Offset)
{
    public override RangeRun RunIn(ulong barSize)
    {
        ulong room = Offset < barSize ? barSize - Offset : 0;
        ulong length = Length ?? (room - (room % Granularity));
        return new RangeRun(Bar, new BarRange(Offset, length), 0, length > 0 && length <= room ? 1 : 0);
    }

    public override bool IsMultipleOf(ulong pageSize) => (Offset | Granularity) % pageSize == 0;
}
